import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { Composer } from './composer.tsx'
import { PeopleIcon } from './icons.tsx'
import { InviteDialog } from './invite-dialog.tsx'
import { MembersPanel } from './members-panel.tsx'
import type { MessageItem, RoomModel } from './model.ts'
import { Avatar } from './parts.tsx'
import { BackButton } from './screen-head.tsx'
import { EncryptedTag } from './sidebar.tsx'
import { Timeline } from './timeline.tsx'

export function RoomView({ room }: { room: RoomModel }): JSX.Element {
  const inviting = useSignal(false)
  const membersShown = useSignal(false)
  const replyTo = useSignal<MessageItem | undefined>(undefined)
  const summary = room.summary.value
  const count = summary.memberCount
  return (
    <div class="room" data-members={membersShown.value ? '' : undefined}>
      <div class="room-main">
        <header class="screen-head">
          <BackButton />
          <Avatar name={summary.name} id={summary.roomId} size={36} />
          <div class="room-title">
            <h1>
              {summary.name} <EncryptedTag encrypted={summary.encrypted} />
            </h1>
          </div>
          {room.canInvite.value && (
            <button type="button" class="button small" onClick={() => (inviting.value = true)}>
              Invite
            </button>
          )}
          <button
            type="button"
            class="button small quiet"
            aria-expanded={membersShown.value}
            aria-controls="members"
            onClick={() => (membersShown.value = !membersShown.value)}
          >
            <PeopleIcon />
            <span aria-hidden="true">{count}</span>
            <span class="hidden-text">{count === 1 ? '1 member' : `${count} members`}</span>
          </button>
        </header>
        <Timeline room={room} onReply={(item) => (replyTo.value = item)} />
        <Composer room={room} replyTo={replyTo.value} onReplyDone={() => (replyTo.value = undefined)} />
      </div>
      {membersShown.value && <MembersPanel room={room} onClose={() => (membersShown.value = false)} />}
      {inviting.value && <InviteDialog room={room} onClose={() => (inviting.value = false)} />}
    </div>
  )
}
