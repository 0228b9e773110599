/** One joined room on matrix-js-sdk, as the user interface sees it. */
import { batch, signal } from '@preact/signals'
import {
  Direction,
  EventStatus,
  KnownMembership,
  MsgType,
  type MatrixClient,
  type MatrixEvent,
  type Room,
  type RoomMember,
  type RoomMessageEventContent,
} from './sdk.ts'
import type { BackfillState, MemberView, RoomModel, RoomSummary, TimelineItem, Upload } from '../ui/model.ts'
import { wordsOf } from '../ui/use-action.ts'
import type { Deliveries } from './deliveries.ts'
import { inviteById, type InviteByIdDeps } from './invite-by-id.ts'
import type { InviteMaker } from './invite-maker.ts'
import { createItemMemo } from './item-memo.ts'
import { keyOf, type ItemContext } from './items.ts'
import { fetchMedia, type MediaAccess } from './media.ts'
import { memberName, nameIn } from './names.ts'
import { setIfChanged, setIfOthers } from './set-signal.ts'
import { eventsOf } from './shown-events.ts'
import { summaryOf } from './summary.ts'
import { sendFile } from './send-file.ts'
import { createStillTyping, type StillTyping } from './still-typing.ts'

/** Events fetched at a time when one reads back. */
const PAGE = 40
/** How long a typing notice stands when nothing follows. */
const TYPING_MS = 10_000
const MODERATOR_LEVEL = 50
const ADMIN_LEVEL = 100

export type RoomDeps = {
  readonly client: MatrixClient
  readonly room: Room
  readonly deliveries: Deliveries
  readonly media: MediaAccess
  readonly inviteMaker: InviteMaker
  readonly nodes: Pick<InviteByIdDeps, 'isConnected' | 'find'>
}

export type LiveRoom = RoomModel & {
  /** Reads the room again. */
  refresh(): void
}

export function createRoomModel(deps: RoomDeps): LiveRoom {
  const { client, room, deliveries, media } = deps
  const { roomId } = room
  const me = client.getSafeUserId()
  const summary = signal<RoomSummary>(summaryOf(room, me))
  const items = signal<readonly TimelineItem[]>([])
  const members = signal<readonly MemberView[]>([])
  const typing = signal<readonly string[]>([])
  const backfill = signal<BackfillState>('more')
  const uploads = signal<readonly Upload[]>([])
  const canInvite = signal(false)
  const shown = createItemMemo(itemContext(client, room, deliveries, me))

  const stillTyping = createStillTyping(() => refresh())

  const refresh = (): void => {
    const newest = room.getLiveTimeline().getEvents().at(-1)
    const sender = newest?.getSender()
    stillTyping.newest(newest?.getId(), sender === me ? undefined : sender)
    batch(() => {
      setIfChanged(summary, summaryOf(room, me))
      setIfOthers(
        items,
        eventsOf(room).flatMap((event) => shown(event) ?? []),
      )
      setIfChanged(members, memberViews(room, me))
      setIfChanged(typing, typingNames(room, me, stillTyping))
      canInvite.value = room.canInvite(me)
      if (backfill.value !== 'loading' && backfill.value !== 'failed')
        backfill.value = hasMore(room) ? 'more' : 'start'
    })
  }

  const loadOlder = async (): Promise<void> => {
    if (backfill.value === 'loading') return
    backfill.value = 'loading'
    try {
      const more = await client.paginateEventTimeline(room.getLiveTimeline(), {
        backwards: true,
        limit: PAGE,
      })
      backfill.value = more ? 'more' : 'start'
    } catch (error) {
      backfill.value = 'failed'
      console.warn('plexus: earlier messages could not be fetched', error)
    }
    refresh()
  }

  const pending = (key: string): MatrixEvent => {
    const event = room.getPendingEvents().find((each) => keyOf(each) === key)
    if (event === undefined) throw new Error('This message was sent after all.')
    return event
  }

  // Complete members are needed for names and the panel; the timeline does not wait for them.
  room
    .loadMembersIfNeeded()
    .then(refresh)
    .catch((error: unknown) => console.warn('plexus: members could not be read', error))
  refresh()

  return {
    roomId,
    summary,
    items,
    members,
    typing,
    backfill,
    uploads,
    canInvite,
    refresh,
    loadOlder,
    async sendText(text, replyTo) {
      const content: RoomMessageEventContent = {
        msgtype: MsgType.Text,
        body: text,
        ...replyRelation(replyTo),
      }
      await sending(client.sendMessage(roomId, content), room)
    },
    async sendFile(file) {
      const show = (upload: Upload | undefined, before: Upload | undefined): void => {
        const others = uploads.value.filter((each) => each !== before)
        uploads.value = upload === undefined ? others : [...others, upload]
      }
      await sendFile({ client, room, media, show }, file)
    },
    async retry(key) {
      await client.resendEvent(pending(key), room)
    },
    discard(key) {
      client.cancelPendingEvent(pending(key))
    },
    async remove(eventId) {
      await client.redactEvent(roomId, eventId)
    },
    setTyping(isTyping) {
      // Who begins to write will send soon: the keys are shared meanwhile.
      if (isTyping && room.hasEncryptionStateEvent()) client.getCrypto()?.prepareToEncrypt(room)
      client
        .sendTyping(roomId, isTyping, TYPING_MS)
        .catch((error: unknown) => console.debug('plexus: typing', error))
    },
    markRead() {
      markRead(client, room, me).catch((error: unknown) => console.debug('plexus: read mark', error))
    },
    createInvite: () => deps.inviteMaker.make(roomId, room.name),
    revokeInvite: (token) => deps.inviteMaker.revoke(roomId, token),
    invite: (typed, step) =>
      inviteById({ ...deps.nodes, invite: (userId) => client.invite(roomId, userId) }, typed, step),
    async kick(userId) {
      await client.kick(roomId, userId)
    },
    async leave() {
      await client.leave(roomId)
    },
    media: (ref, inline) => fetchMedia(media, ref, inline),
  }
}

/** What fails on its way stands at the message itself; only what never became one is an error here. */
async function sending(sent: Promise<unknown>, room: Room): Promise<void> {
  try {
    await sent
  } catch (error) {
    const shown = room.getPendingEvents().some((event) => event.status === EventStatus.NOT_SENT)
    if (!shown) throw new Error(wordsOf(error), { cause: error })
  }
}

function replyRelation(replyTo: string | undefined): object {
  return replyTo === undefined ? {} : { 'm.relates_to': { 'm.in_reply_to': { event_id: replyTo } } }
}

function hasMore(room: Room): boolean {
  return room.getLiveTimeline().getPaginationToken(Direction.Backward) !== null
}

function itemContext(client: MatrixClient, room: Room, deliveries: Deliveries, me: string): ItemContext {
  return {
    me,
    nameOf: (userId) => nameIn(room, userId),
    delivery: (eventId) => (eventId.startsWith('$') ? deliveries.get(room.roomId, eventId) : undefined),
    readBy: (event) =>
      room
        .getReceiptsForEvent(event)
        .filter(({ userId }) => userId !== me && userId !== event.getSender())
        .map(({ userId }) => nameIn(room, userId)),
    canRemove: (event) => room.currentState.maySendRedactionForEvent(event, me),
    find: (eventId) => room.findEventById(eventId),
  }
}

function memberViews(room: Room, me: string): readonly MemberView[] {
  const level = room.getMember(me)?.powerLevel ?? 0
  const mayKick = room.currentState.hasSufficientPowerLevelFor('kick', level)
  const view = (member: RoomMember): MemberView => ({
    userId: member.userId,
    name: memberName(member),
    role:
      member.powerLevel >= ADMIN_LEVEL
        ? 'admin'
        : member.powerLevel >= MODERATOR_LEVEL
          ? 'moderator'
          : 'member',
    membership: member.membership === KnownMembership.Invite ? 'invite' : 'join',
    isMe: member.userId === me,
    canKick: mayKick && member.userId !== me && member.powerLevel < level,
  })
  const invited = room.getMembersWithMembership(KnownMembership.Invite)
  const byName = (a: MemberView, b: MemberView): number => a.name.localeCompare(b.name)
  return [...room.getJoinedMembers().map(view).toSorted(byName), ...invited.map(view).toSorted(byName)]
}

function typingNames(room: Room, me: string, stillTyping: StillTyping): readonly string[] {
  return room
    .getJoinedMembers()
    .filter((member) => member.typing && member.userId !== me && !stillTyping.isQuiet(member.userId))
    .map(memberName)
}

async function markRead(client: MatrixClient, room: Room, me: string): Promise<void> {
  const newest = room.getLiveTimeline().getEvents().at(-1)
  const id = newest?.getId()
  if (newest === undefined || id === undefined || newest.getSender() === me) return
  if (room.getEventReadUpTo(me) !== id) await client.sendReadReceipt(newest)
}
