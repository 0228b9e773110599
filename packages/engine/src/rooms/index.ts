/** The rooms of a node: everything of `rooms/types.ts`, composed. */
import type { JsonObject, RoomId, ServerName, UserId } from '@plexus/core'
import { memberKey, parseUserId, serverOf } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import { createKeyedMutex } from '../kernel/mutex.ts'
import type { ServerKeys } from '../keys/types.ts'
import type { EduHandler } from '../outbox-types.ts'
import type { Clock, Federation, Log, Random, Signer, Store, Verifier } from '../ports.ts'
import { CarrierError } from '../ports.ts'
import { createEventStore } from './event-store.ts'
import { backfillRoom, backfillTo } from './history.ts'
import { createAcceptInvite } from './accept-invite.ts'
import { createCompletion, type Completion } from './completion.ts'
import {
  forgetPackages,
  joinByPackage,
  refuseByPackage,
  takeEarly,
  resumePackages,
} from './invite-packages.ts'
import { mailedEdus } from './mailed-edus.ts'
import { createMailedInvites, type RoomMail } from './mailed-invites.ts'
import type { InvitePolicy } from './remote-join.ts'
import type { InviteDeps } from './invites.ts'
import { checkInvitable, inviteUser, memberRoom } from './invites.ts'
import type { LinkInvites } from './link-invites.ts'
import { createLinkInvites } from './link-invites.ts'
import type { LocalEvents } from './local.ts'
import { createLocalEvents } from './local.ts'
import { checkCanMeet } from './networks.ts'
import { createOutsiders } from './outsiders.ts'
import { createReader, LOWEST_ORDER } from './read.ts'
import { invitePackages, memberships } from './records.ts'
import { createRoomRegistry } from './registry.ts'
import type { JoinRequest } from './remote-join.ts'
import { asRoomError, isHere, joinRemotely, leaveRemotely } from './remote-join.ts'
import { knockRemotely } from './remote-knock.ts'
import { AUTHORISER, authoriserFor, inviters } from './restricted.ts'
import type { DestinationTracker, Room, RoomDeps } from './room.ts'
import { createServing } from './serve.ts'
import type { Staging } from './staging.ts'
import { createStaging } from './staging.ts'
import { createStateGroups } from './state-groups.ts'
import type { RoomSnapshot, Rooms } from './types.ts'
import { RoomError } from './types.ts'
import { createWaitingRedactions } from './waiting-redactions.ts'

/** Rounds of `backfill` for one request of a client. */
const MAX_BACKFILL_ROUNDS = 3

export type RoomsDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly signer: Signer
  readonly verifier: Verifier
  readonly keys: ServerKeys
  readonly federation: Federation
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly destinations: DestinationTracker
  readonly services: RoomDeps['services']
  /** A local user who is not there may be after this. Never rejects. */
  readonly seekUser: (userId: UserId) => Promise<void>
  readonly onJoined: RoomDeps['onJoined']
  /** Whether a user of this node wants no invites. Not asked before `createRooms` returned. */
  readonly blocksInvites: InvitePolicy
  /** Absent where no mail is left. */
  readonly mail?: RoomMail | undefined
}

export type RoomsParts = {
  readonly rooms: Rooms
  readonly staging: Staging
  readonly links: LinkInvites
  readonly completion: Completion
  /** By type. */
  readonly edus: Readonly<Record<string, EduHandler>>
}

export function createRooms(deps: RoomsDeps): RoomsParts {
  const ownName = deps.signer.name
  const events = createEventStore(deps.store)
  const groups = createStateGroups(deps.store)
  const base = {
    ...deps,
    ownName,
    events,
    groups,
    waitingRedactions: createWaitingRedactions(deps),
    mailedInvites: createMailedInvites(deps.store, events),
    onJoined(snapshot: RoomSnapshot, users: readonly UserId[]) {
      deps.onJoined(snapshot, users)
      // Who came back by an event of another server, or because a kick was undone, asked for no join.
      const isBack = users.some((user) => serverOf(user) === ownName)
      if (isBack) completion.start(snapshot.roomId)
    },
  }
  const registry = createRoomRegistry(base)
  const completion = createCompletion({ ...base, registry, leave: (...who) => leave(...who) })
  const inner: InviteDeps = { ...base, registry, outsiders: createOutsiders(deps) }
  const joins = createKeyedMutex()
  const reader = createReader(inner)
  const local = createLocalEvents(inner)
  const links = createLinkInvites(inner)
  const serving = createServing({ ...inner, timeline: reader.timeline })
  const staging = createStaging({ ...inner, whileNobodyJoins: (roomId, work) => joins.run(roomId, work) })
  const receive: Staging['receive'] = (origin, pdus) => staging.receive(origin, pdus)

  /** What is forbidden because these users are not known yet to be members, or invited, is tried again once all are. */
  const withMembers = async <T>(
    roomId: RoomId,
    users: readonly UserId[],
    work: () => Promise<T>,
  ): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      const snapshot = (await registry.get(roomId))?.snapshot
      const isForbidden = error instanceof RoomError && error.errcode === 'M_FORBIDDEN'
      const mayBeMissing =
        snapshot?.isPartial === true && users.some((user) => !snapshot.state.has(memberKey(user)))
      if (!isForbidden || !mayBeMissing || !(await completion.whole(roomId))) throw error
      return work()
    }
  }

  const member = (roomId: RoomId, userId: UserId, content: JsonObject | undefined, membership: string) =>
    local.send(roomId, {
      type: 'm.room.member',
      sender: userId,
      stateKey: userId,
      content: { ...content, membership },
    })

  const requestOf = (
    userId: UserId,
    roomId: RoomId,
    { content, signal }: { readonly content?: JsonObject; readonly signal?: AbortSignal },
  ): JoinRequest => ({
    userId,
    roomId,
    ...(content === undefined ? {} : { content: withoutAuthoriser(content) }),
    ...(signal === undefined ? {} : { signal }),
  })

  const join: Rooms['join'] = (userId, roomId, { via, ...options }) =>
    joins.run(roomId, async () => {
      const room = await registry.get(roomId)
      const request = requestOf(userId, roomId, options)
      if (room !== undefined && isHere(room, ownName)) {
        if (room.snapshot?.joinedMembers.includes(userId) === true && request.content === undefined) return
        await joinHere(inner, room, local, { request, via })
        completion.start(roomId)
        return
      }
      const row = await memberships.get(deps.store, [userId, roomId])
      const invites = row?.membership === 'invite' ? [row, ...(row.others ?? [])] : []
      const inviters = invites.map(({ sender }) => serverOf(sender))
      const isPacked = (await invitePackages.get(deps.store, [roomId, userId])) !== undefined
      // One of an invite that was withdrawn opens nothing.
      const alone = isPacked && invites.length > 0 ? () => joinByPackage(inner, request) : undefined
      await joinRemotely(inner, [...new Set([...inviters, ...via])], request, alone)
      completion.start(roomId)
    })

  const knock: Rooms['knock'] = (userId, roomId, { via, ...options }) =>
    joins.run(roomId, async () => {
      const room = await registry.get(roomId)
      const request = requestOf(userId, roomId, options)
      if (room !== undefined && isHere(room, ownName)) await member(roomId, userId, request.content, 'knock')
      else await knockRemotely(inner, via, request)
    })

  const leave: Rooms['leave'] = async (userId, roomId, content) => {
    const room = await registry.get(roomId)
    if (room !== undefined && isHere(room, ownName)) {
      await member(roomId, userId, content, 'leave')
      return
    }
    await leaveFromOutside(inner, userId, roomId, content)
    const left = await forgetPackages(deps.store, [[roomId, userId]])
    await deps.committer.submit({ writes: () => left })
  }

  const acceptInvite = createAcceptInvite({ ...inner, seekUser: deps.seekUser })
  const rooms: Rooms = {
    ...reader,
    ...serving,
    create: (room) => local.create(room),
    async send(roomId, event) {
      const { type, stateKey, content } = event
      const target = type === 'm.room.member' ? parseUserId(stateKey ?? '') : undefined
      if (target !== undefined && content['membership'] === 'invite') {
        await checkInvitable(inner, target)
        const room = await registry.get(roomId)
        if (room?.snapshot !== undefined) await checkCanMeet(inner, room.snapshot, serverOf(target))
      }
      // Who authorises a join is for the node to say.
      const sent = target === undefined ? event : { ...event, content: withoutAuthoriser(content) }
      const users = target === undefined ? [event.sender] : [event.sender, target]
      return withMembers(roomId, users, () => local.send(roomId, sent))
    },
    // Outside of the queue of joins, which events of others wait for.
    async join(userId, roomId, options) {
      await withMembers(roomId, [userId], () => join(userId, roomId, options))
      await takeEarly(inner, roomId, receive)
    },
    knock: (userId, roomId, options) => withMembers(roomId, [userId], () => knock(userId, roomId, options)),
    leave: (userId, roomId, content) => withMembers(roomId, [userId], () => leave(userId, roomId, content)),
    async invite(sender, roomId, target, content = {}) {
      const room = await memberRoom(inner, roomId)
      const invite = (): Promise<void> => inviteUser(inner, room, { sender, target, content })
      await withMembers(roomId, [sender, target], invite).catch((error: unknown) => {
        throw asRoomError(error, 'the invite was not delivered')
      })
    },
    async forget(userId, roomId) {
      const record = await memberships.get(deps.store, [userId, roomId])
      if (record === undefined) throw new RoomError('M_NOT_FOUND', 'the user was never in the room')
      if (record.membership === 'join' || record.membership === 'invite') {
        throw new RoomError('M_UNKNOWN', 'the user is still in the room')
      }
      await deps.committer.submit({
        writes: () => [memberships.put([userId, roomId], { ...record, forgotten: true })],
      })
    },
    async backfill(roomId, beforeOrder, limit, signal) {
      const room = await registry.get(roomId)
      if (room?.snapshot === undefined) return
      for (let round = 0; round < MAX_BACKFILL_ROUNDS; round += 1) {
        const page = await reader.timeline(roomId, {
          from: LOWEST_ORDER,
          to: beforeOrder,
          direction: 'b',
          limit,
        })
        if (page.events.length >= limit || !(await backfillRoom(inner, room, signal))) return
      }
    },
    async backfillTo(roomId, ts, direction, signal) {
      const room = await registry.get(roomId)
      return room?.snapshot !== undefined && backfillTo(inner, room, { ts, direction }, signal)
    },
    whole: (roomId) => completion.whole(roomId),
    receive,
    acceptInvite,
    exchangeThirdPartyInvite: (origin, roomId, event) => links.exchange(origin, roomId, event),
    createLinkInvite: (roomId, as) => links.createLink(roomId, as),
    revokeLinkInvite: (roomId, token, as) => links.revokeLink(roomId, token, as),
  }
  const edus = mailedEdus({ ...inner, acceptInvite, exchange: (...given) => links.exchange(...given) })
  const resume: Staging['resume'] = async () => {
    await staging.resume()
    await resumePackages(inner, receive)
  }
  return { rooms, staging: { ...staging, resume }, links, completion, edus }
}

function withoutAuthoriser(content: JsonObject): JsonObject {
  const { [AUTHORISER]: _, ...rest } = content
  return rest
}

/**
 * Joins a room that this node is in. Where its users may not let others in, or it does not know the rooms that would do,
 * a server that may has to help. spec: server-server-api.md "Restricted rooms"
 */
async function joinHere(
  deps: InviteDeps,
  room: Room,
  local: Pick<LocalEvents, 'send'>,
  { request, via }: { readonly request: JoinRequest; readonly via: readonly ServerName[] },
): Promise<void> {
  const { userId, roomId, content } = request
  const found = await room.run(async ({ copy }) => {
    if (copy === undefined) return {}
    try {
      return { authoriser: await authoriserFor(deps, copy, userId) }
    } catch (error) {
      if (!(error instanceof RoomError) || error.errcode === 'M_FORBIDDEN') throw error
      return { others: (await inviters(deps.events, copy)).map(serverOf) }
    }
  })
  if (found.others !== undefined) {
    await joinRemotely(deps, [...new Set([...found.others, ...via])], request)
    return
  }
  const { authoriser } = found
  await local.send(roomId, {
    type: 'm.room.member',
    sender: userId,
    stateKey: userId,
    content: {
      ...content,
      membership: 'join',
      ...(authoriser === undefined ? {} : { [AUTHORISER]: authoriser }),
    },
  })
}

/** Rejects an invite to a room in which this node has no member, or takes back a knock; the room is told if it can be reached. */
async function leaveFromOutside(
  deps: InviteDeps,
  userId: UserId,
  roomId: RoomId,
  content: JsonObject | undefined,
): Promise<void> {
  const before = await deps.outsiders.change(userId, roomId, (row) => {
    if (row === undefined || (row.membership !== 'invite' && row.membership !== 'knock'))
      throw new RoomError('M_FORBIDDEN', 'the user is not in the room')
    return { membership: 'leave', eventId: row.eventId, sender: row.sender }
  })
  if (before === undefined) return
  const { resident = serverOf(before.sender) } = before
  // Asked after the commit: what comes meanwhile, such as another invite, stands.
  await leaveRemotely(deps, resident, userId, roomId, content).catch(async (error: unknown) => {
    if (error instanceof CarrierError && (await refuseByPackage(deps, roomId, userId, content))) return
    deps.log.log('info', 'nobody in the room was told that an invite is refused, or a knock taken back', {
      roomId,
      error: String(error),
    })
  })
}
