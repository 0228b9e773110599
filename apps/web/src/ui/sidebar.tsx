import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { shortTime } from './format.ts'
import { GearIcon, LinkIcon, LockIcon, Mark, PlusIcon } from './icons.tsx'
import { InviteList } from './invite-list.tsx'
import type { AppModel, RoomSummary, SessionModel } from './model.ts'
import { NetworkBadge } from './network-badge.tsx'
import { NewRoomDialog } from './new-room-dialog.tsx'
import { OpenedLinkList } from './opened-link-list.tsx'
import { Avatar, Spinner } from './parts.tsx'
import { PasteLinkDialog } from './paste-link-dialog.tsx'
import { routeHref } from './route.ts'
import { followLink, route } from './router.ts'

export type SidebarProps = {
  readonly app: AppModel
  readonly session: SessionModel
  readonly top: JSX.Element | undefined
}

export function Sidebar({ app, session, top }: SidebarProps): JSX.Element {
  const making = useSignal(false)
  const pasting = useSignal(false)
  return (
    <div class="sidebar">
      {top}
      <header class="sidebar-head">
        <span class="brand small">
          <Mark size={26} />
          <span class="brand-name">Plexus</span>
        </span>
        <NetworkBadge session={session} />
      </header>
      <div class="sidebar-actions">
        <button type="button" class="button primary wide" onClick={() => (making.value = true)}>
          <PlusIcon />
          New room
        </button>
        <button
          type="button"
          class="button"
          title="Open a link that you were given"
          onClick={() => (pasting.value = true)}
        >
          <LinkIcon />
          <span class="hidden-text">Open a link</span>
        </button>
      </div>
      <div class="sidebar-scroll">
        <InviteList session={session} />
        <OpenedLinkList app={app} session={session} />
        <RoomList session={session} />
      </div>
      <footer class="sidebar-foot">
        <MeLink session={session} />
      </footer>
      {pasting.value && <PasteLinkDialog app={app} onClose={() => (pasting.value = false)} />}
      {making.value && <NewRoomDialog session={session} onClose={() => (making.value = false)} />}
    </div>
  )
}

function MeLink({ session }: { session: SessionModel }): JSX.Element {
  const me = session.me.value
  const target = { page: 'settings' } as const
  const current = route.value.page === 'settings'
  return (
    <a
      class="me"
      href={routeHref(target)}
      aria-current={current ? 'page' : undefined}
      onClick={(event) => followLink(event, target)}
    >
      <Avatar name={me.name} id={me.userId} />
      <span class="me-name">{me.name}</span>
      <span class="hidden-text">, settings</span>
      <GearIcon />
    </a>
  )
}

function RoomList({ session }: { session: SessionModel }): JSX.Element {
  const rooms = session.rooms.value
  return (
    <nav aria-label="Rooms">
      {!session.synced.value && rooms.length === 0 && <Spinner label="Reading your rooms" />}
      {session.synced.value && rooms.length === 0 && (
        <p class="sidebar-empty">
          No rooms yet. Make one and share its link with somebody, or open a link that you were given.
        </p>
      )}
      <ul class="rooms">
        {rooms.map((room) => (
          <RoomRow key={room.roomId} room={room} />
        ))}
      </ul>
    </nav>
  )
}

function RoomRow({ room }: { room: RoomSummary }): JSX.Element {
  const where = route.value
  const target = { page: 'room', roomId: room.roomId } as const
  const current = where.page === 'room' && where.roomId === room.roomId
  return (
    <li>
      <a
        class={room.unread > 0 ? 'room-row unread' : 'room-row'}
        href={routeHref(target)}
        aria-current={current ? 'page' : undefined}
        onClick={(event) => followLink(event, target)}
      >
        <Avatar name={room.name} id={room.roomId} size={40} />
        <span class="room-lines">
          <span class="room-line">
            <span class="room-name">{room.name}</span>
            {room.last !== undefined && (
              <time class="room-time">{shortTime(room.last.time, Date.now())}</time>
            )}
          </span>
          <span class="room-line">
            <span class="room-last">
              {!room.encrypted && <span class="tag">not encrypted</span>}
              {room.last?.text ?? 'No messages yet'}
            </span>
            {room.unread > 0 && (
              <span class="badge" aria-label={`${room.unread} unread`}>
                {room.unread > 99 ? '99+' : room.unread}
              </span>
            )}
          </span>
        </span>
      </a>
    </li>
  )
}

/** For a room's header. */
export function EncryptedTag({ encrypted }: { encrypted: boolean }): JSX.Element {
  return encrypted ? (
    <span class="lock" title="End-to-end encrypted">
      <LockIcon />
      <span class="hidden-text">End-to-end encrypted</span>
    </span>
  ) : (
    <span class="tag">not encrypted</span>
  )
}
