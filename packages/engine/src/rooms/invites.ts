/** Inviting users of this and of other servers. spec: server-server-api.md "Inviting to a room" */
import type { EventTemplate, JsonObject, RoomId, UserId } from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import { serverOf, stateKey } from '@plexus/core'
import type { Change } from '../kernel/committer.ts'
import { combineChanges } from '../kernel/committer.ts'
import type { Edu } from '../outbox-types.ts'
import type { Random } from '../ports.ts'
import { withSignatureOf } from './co-sign.ts'
import type { RoomCopy } from './copy.ts'
import { buildOwn, decideOwn, recommendedOwn } from './local.ts'
import { INVITE_WAIT_MS, isAsleep, mailedInvite, type RoomMail } from './mailed-invites.ts'
import { checkCanMeet } from './networks.ts'
import { recommend } from './policy.ts'
import type { RemoteDeps } from './remote-join.ts'
import type { EventInput, Room, Turn } from './room.ts'
import { RoomError } from './types.ts'

export type InviteDeps = RemoteDeps & {
  readonly random: Random
  /** Absent where no mail is left. */
  readonly mail?: RoomMail | undefined
}

/** State that an invite shows of a room before it is joined. spec: client-server-api "Stripped state" */
const STRIPPED_STATE_TYPES = [
  'm.room.create',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.join_rules',
  'm.room.canonical_alias',
  'm.room.encryption',
]

export type InviteRequest = {
  readonly sender: UserId
  readonly target: UserId
  readonly content: JsonObject
  /**
   * It was asked for by mail: it is mailed too, though nobody knows yet where to, and nobody is waited for, since other mail waits
   * behind what asked for it.
   */
  readonly byMail?: true | undefined
}

/** A room that this node holds state of. @throws RoomError M_NOT_FOUND */
export async function memberRoom(deps: Pick<InviteDeps, 'registry'>, roomId: RoomId): Promise<Room> {
  const room = await deps.registry.get(roomId)
  if (room?.snapshot === undefined) throw new RoomError('M_NOT_FOUND', 'this node is not in the room')
  return room
}

function copyOf(turn: Turn): RoomCopy {
  if (turn.copy === undefined) throw new RoomError('M_NOT_FOUND', 'this node is not in the room')
  return turn.copy
}

/** @throws RoomError M_INVITE_BLOCKED. spec: client-server-api/modules/invite_permission.md "Server behaviour" */
export async function checkInvitable(
  { ownName, blocksInvites }: Pick<InviteDeps, 'ownName' | 'blocksInvites'>,
  target: UserId,
): Promise<void> {
  if (serverOf(target) === ownName && (await blocksInvites(target)))
    throw new RoomError('M_INVITE_BLOCKED', 'the user wants no invites')
}

/** Invites a local or remote user; `also` makes changes that are committed with the invite, after it. */
export async function inviteUser(
  deps: InviteDeps,
  room: Room,
  { sender, target, content, byMail }: InviteRequest,
  also: (turn: Turn) => Promise<readonly Change[]> = () => Promise.resolve([]),
): Promise<void> {
  await checkInvitable(deps, target)
  const template: EventTemplate = {
    type: 'm.room.member',
    sender,
    stateKey: target,
    content: { ...content, membership: 'invite' },
  }
  const isOwn = serverOf(target) === deps.ownName
  const remote = isOwn ? undefined : await cosignedInvite(deps, room, template, { target, byMail })
  const prepared = remote === undefined ? await recommendedOwn(deps, room, template) : remote.event
  const { done } = await room.run(async (turn) => {
    const event = prepared ?? (await buildOwn(deps, copyOf(turn), template))
    const invite = await decideOwn(turn, event)
    const mailed = remote?.mailed === undefined ? [] : [mailChange(deps, target, remote.mailed)]
    const changes = [invite, ...mailed, ...(await also(turn))]
    return { done: turn.submit(combineChanges(changes)) }
  })
  await done
}

type RemoteInvite = {
  readonly event: EventInput
  /** To be queued with it. */
  readonly mailed?: Edu
}

function mailChange({ mail }: InviteDeps, target: UserId, edu: Edu): Change {
  return { writes: () => mail?.queueDurable(serverOf(target), edu) ?? [], durability: 'strict' }
}

/**
 * The invitee's server signs before the room learns of it, outside of the room's queue: the network is slow. To one that is
 * away the invite is mailed.
 */
async function cosignedInvite(
  deps: InviteDeps,
  room: Room,
  template: EventTemplate,
  { target, byMail }: Pick<InviteRequest, 'target' | 'byMail'>,
): Promise<RemoteInvite> {
  const server = serverOf(target)
  if (room.snapshot !== undefined) await checkCanMeet(deps, room.snapshot, server)
  const { built, inviteRoomState, before } = await room.run(async (turn) => {
    const copy = copyOf(turn)
    const event = await buildOwn(deps, copy, template)
    const why = await turn.check(event)
    if (why !== undefined) throw new RoomError('M_FORBIDDEN', why)
    return { built: event, inviteRoomState: await strippedStateOf(deps, copy), before: copy.current.state }
  })
  const event = await recommend(deps, room, built)
  const invite = { roomVersion: room.version.id, event: event.pdu, inviteRoomState }
  const { mail } = deps
  const mailed = (): Promise<Edu | undefined> => mailedInvite(deps, room, { event, inviteRoomState, before })
  const isMailable = mail !== undefined && isKeyName(server) && !mail.isFull(server)
  const asked = byMail === true && isMailable ? await mailed() : undefined
  if (asked !== undefined) return { event, mailed: asked }
  const options = mail === undefined || !isKeyName(server) ? {} : { timeoutMs: INVITE_WAIT_MS }
  try {
    const answer = await deps.federation.invite(server, room.roomId, event.id, invite, options)
    return { event: await withSignatureOf(deps, room.version, event, answer.event, server) }
  } catch (error) {
    const edu = mail !== undefined && (await isAsleep(mail, server, error)) ? await mailed() : undefined
    if (edu === undefined) throw error
    return { event, mailed: edu }
  }
}

async function strippedStateOf(deps: InviteDeps, copy: RoomCopy): Promise<readonly JsonObject[]> {
  const ids = STRIPPED_STATE_TYPES.flatMap((type) => copy.current.state.get(stateKey(type, '')) ?? [])
  const records = await deps.events.working([copy.create.id, ...ids])
  // spec: server-server-api.md: the create event goes whole, so that the invitee's server can check the room id.
  return records.flatMap((record): JsonObject[] => (record === undefined ? [] : [record.pdu]))
}
