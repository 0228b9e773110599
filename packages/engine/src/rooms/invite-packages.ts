/**
 * Invites that came by mail, the invitee's side: what the inviter packed of the room, what members tell meanwhile, and the
 * join where nobody answers. DESIGN section 8 "First contact with both asleep in turn"
 */
import type { EventId, JsonObject, JsonValue, RoomId, RoomVersion, ServerName, UserId } from '@plexus/core'
import {
  authStateKeys,
  canonicalJson,
  isJsonObject,
  MAX_PDU_BYTES,
  parseRoomId,
  parseUserId,
  referenceTo,
  roomVersion,
  serverOf,
  stateKeyOf,
  utf8Length,
} from '@plexus/core'
import { MAIL_RETENTION_MS } from '../mail/tables.ts'
import type { EduEffect } from '../outbox-types.ts'
import type { Store, Write } from '../ports.ts'
import type { AcceptInvite } from './accept-invite.ts'
import { beyond } from './beyond.ts'
import { inviteStateFault } from './invite-state.ts'
import { enterRoom } from './enter-room.ts'
import { mixesNetworks, fromTemplate, isHere, type JoinRequest, type RemoteDeps } from './remote-join.ts'
import { MAILED_LEAVE, type RoomMail } from './mailed-invites.ts'
import { MIXED_ROOM } from './networks.ts'
import { earlyEvents, invitePackages, memberships, type InvitePackage } from './records.ts'
import type { EventInput } from './room.ts'
import { RoomError } from './types.ts'
import { checkEvents, type CheckedEvent } from './verify.ts'

/** Packages that are kept, those of one server among them, and the length of one as JSON in UTF-16 code units. */
export const MAX_PACKAGES = 50
export const MAX_PACKAGES_OF_SERVER = 5
export const MAX_PACKAGE_LENGTH: number = 256 * 1024
/** As long as mail waits: what members leave for the invitee has expired by then. The invite itself stays. */
export const PACKAGE_LIFETIME_MS: number = MAIL_RETENTION_MS
/**
 * Events that members may tell of one room before its invite is answered, one server may, and all may of all rooms; beyond that
 * the newest of who told most go.
 */
export const MAX_EARLY_EVENTS = 200
export const MAX_EARLY_EVENTS_OF_SERVER = 200
export const MAX_ALL_EARLY_EVENTS = 1_000
/** Events in an invite's shown state. */
const MAX_SHOWN_EVENTS = 100
const MAX_EVENT_ID = 255

type Mailed = {
  readonly roomId: RoomId
  readonly eventId: EventId
  readonly invite: Parameters<AcceptInvite>[3]
  readonly state: readonly JsonObject[]
  readonly authChain: readonly JsonObject[]
  readonly doubt: Pick<InvitePackage, 'isUnconfirmed'>
}

/** Takes the durable EDU `plexus.invite`. */
export async function takeMailedInvite(
  deps: RemoteDeps & { readonly acceptInvite: AcceptInvite },
  origin: ServerName,
  content: JsonObject,
): Promise<EduEffect> {
  const mailed = parseMailed(content)
  const version = mailed === undefined ? undefined : roomVersion(mailed.invite.roomVersion)
  if (mailed === undefined || version === undefined) return undefined
  const { roomId, eventId, invite, state, authChain, doubt } = mailed
  const room = await deps.registry.get(roomId)
  if (room !== undefined && isHere(room, deps.ownName)) return undefined
  try {
    if (version.roomIdIsCreateHash) {
      const fault = await inviteStateFault(deps, { version, roomId, origin }, invite.inviteRoomState)
      if (fault !== undefined) throw new RoomError('M_INVALID_PARAM', fault)
    }
    const { event } = await deps.acceptInvite(origin, roomId, eventId, invite)
    const target = parseUserId(typeof event['state_key'] === 'string' ? event['state_key'] : '')
    if (target === undefined || state.length === 0) return undefined
    if (!(await isWaiting(deps.store, roomId, target, { eventId }))) return undefined
    const writes = await roomFor(deps, origin, roomId, target)
    const packed: InvitePackage = {
      at: deps.clock.now(),
      origin,
      eventId,
      roomVersion: version.id,
      event,
      state,
      authChain,
      ...doubt,
      servers: joinedServers(state),
    }
    return writes && { writes: () => [...writes, invitePackages.put([roomId, target], packed)] }
  } catch (error) {
    if (!(error instanceof RoomError)) throw error
    deps.log.log('info', 'an invite that came by mail is refused', { roomId, origin, error: error.message })
    return undefined
  }
}

type PackageRow = readonly [key: readonly [RoomId, UserId], packed: InvitePackage]

const isExpired = ({ at }: InvitePackage, now: number): boolean =>
  at !== undefined && now - at > PACKAGE_LIFETIME_MS

/**
 * The writes that make room for one more package: the expired go, then those of invites that were answered, then the oldest of
 * who has most. `undefined` where another server's invite to the room waits with its own: a stranger's must not take its place.
 */
async function roomFor(
  { store, clock }: Pick<RemoteDeps, 'store' | 'clock'>,
  origin: ServerName,
  roomId: RoomId,
  userId: UserId,
): Promise<readonly Write[] | undefined> {
  const rows = await invitePackages.list(store, [])
  const same = rows.find(([[room, user]]) => room === roomId && user === userId)?.[1]
  if (same !== undefined)
    return same.origin === origin || !(await isWaiting(store, roomId, userId, same)) ? [] : undefined
  const now = clock.now()
  let kept: readonly PackageRow[] = rows.filter(([, packed]) => !isExpired(packed, now))
  if (overflowOf(kept, origin).length > 0) kept = await waitingOf(store, kept)
  const over = overflowOf(kept, origin)
  const isKept = (row: PackageRow): boolean => kept.includes(row) && !over.includes(row)
  return forgetPackages(
    store,
    rows.filter((row) => !isKept(row)).map(([key]) => key),
  )
}

/** The packages that one more of a server has no room beside. */
function overflowOf(rows: readonly PackageRow[], origin: ServerName): readonly PackageRow[] {
  const oldestFirst = rows.toSorted(([, a], [, b]) => (a.at ?? 0) - (b.at ?? 0))
  const ofServer = oldestFirst.filter(([, packed]) => packed.origin === origin)
  if (ofServer.length >= MAX_PACKAGES_OF_SERVER) return ofServer.slice(0, 1)
  const originOf = (row: PackageRow | undefined): ServerName => row?.[1].origin ?? origin
  return beyond([...oldestFirst, undefined], originOf, MAX_PACKAGES).filter((row) => row !== undefined)
}

async function waitingOf(store: Store, rows: readonly PackageRow[]): Promise<readonly PackageRow[]> {
  const waiting = await Promise.all(
    rows.map(([[room, user], packed]) => isWaiting(store, room, user, packed)),
  )
  return rows.filter((_, index) => waiting[index])
}

async function isWaiting(
  store: Store,
  roomId: RoomId,
  userId: UserId,
  { eventId }: Pick<InvitePackage, 'eventId'>,
): Promise<boolean> {
  const row = await memberships.get(store, [userId, roomId])
  return row?.membership === 'invite' && [row, ...(row.others ?? [])].some((each) => each.eventId === eventId)
}

/** The writes after which nothing is left of what came with these invites. */
export async function forgetPackages(
  store: Store,
  keys: readonly (readonly [RoomId, UserId])[],
): Promise<readonly Write[]> {
  const writes: Write[] = keys.map((key) => invitePackages.delete(key))
  for (const roomId of new Set(keys.map(([room]) => room))) {
    const rows = await invitePackages.list(store, [roomId])
    // What was told is for all users here who are invited.
    const isOthers = rows.some(([[, user]]) => !keys.some(([room, each]) => room === roomId && each === user))
    if (isOthers) continue
    for (const [key] of await earlyEvents.list(store, [roomId])) writes.push(earlyEvents.delete(key))
  }
  return writes
}

/** Keeps what a member tells of a room that a user of ours is invited to by mail. It shows nowhere before they join. */
export async function keepEarly(
  { store, committer }: Pick<RemoteDeps, 'store' | 'committer'>,
  origin: ServerName,
  roomId: RoomId,
  pdus: readonly JsonObject[],
): Promise<void> {
  const packages = await invitePackages.list(store, [roomId])
  if (!packages.some(([, { servers }]) => servers.includes(origin))) return
  const all = await earlyEvents.list(store, [])
  const here = all.filter(([[room]]) => room === roomId)
  const known = new Set(here.map(([, { pdu }]) => canonicalJson(pdu)))
  const ofServer = all.filter(([, row]) => row.origin === origin).length
  const room = Math.min(MAX_EARLY_EVENTS - here.length, MAX_EARLY_EVENTS_OF_SERVER - ofServer)
  const fresh = pdus
    .filter((pdu) => utf8Length(canonicalJson(pdu)) <= MAX_PDU_BYTES && !known.has(canonicalJson(pdu)))
    .slice(0, Math.max(0, room))
  const newestFirst = all.toSorted(([[, a]], [[, b]]) => b - a)
  // Those that are new have no key.
  const rows = [...fresh.map(() => [undefined, { origin }] as const), ...newestFirst]
  const gone = beyond(rows, ([, row]) => row.origin, MAX_ALL_EARLY_EVENTS)
  const left = gone.flatMap(([key]) => (key === undefined ? [] : [key]))
  const kept = fresh.slice(0, fresh.length - (gone.length - left.length))
  if (kept.length === 0) return
  await committer.submit({
    durability: 'strict',
    positions: kept.length,
    writes: (position) => [
      ...left.map((key) => earlyEvents.delete(key)),
      ...kept.map((pdu, index) => earlyEvents.put([roomId, position + index], { origin, pdu })),
    ],
  })
}

/** As `takeEarly`, for rooms that were joined before the process ended; what has expired goes. Never rejects. */
export async function resumePackages(
  deps: RemoteDeps,
  receive: (origin: ServerName, pdus: readonly JsonObject[]) => Promise<unknown>,
): Promise<void> {
  try {
    const rows = await invitePackages.list(deps.store, [])
    for (const roomId of new Set(rows.map(([[room]]) => room))) {
      const room = await deps.registry.get(roomId)
      if (room !== undefined && isHere(room, deps.ownName)) await takeEarly(deps, roomId, receive)
    }
    const now = deps.clock.now()
    const expired = rows.filter(([, packed]) => isExpired(packed, now)).map(([key]) => key)
    const writes = await forgetPackages(deps.store, expired)
    await deps.committer.submit({ writes: () => writes })
  } catch (error) {
    deps.log.log('warn', 'what was told before a join waits for the next start', { error: String(error) })
  }
}

/** Hands over what members told before a user of ours joined. */
export async function takeEarly(
  { store, committer }: Pick<RemoteDeps, 'store' | 'committer'>,
  roomId: RoomId,
  receive: (origin: ServerName, pdus: readonly JsonObject[]) => Promise<unknown>,
): Promise<void> {
  const packages = await invitePackages.list(store, [roomId])
  if (packages.length === 0) return
  const early = await earlyEvents.list(store, [roomId])
  const byOrigin = Map.groupBy(early, ([, { origin }]) => origin)
  for (const [origin, rows] of byOrigin)
    await receive(
      origin,
      rows.map(([, { pdu }]) => pdu),
    )
  await committer.submit({
    writes: () => [
      ...packages.map(([key]) => invitePackages.delete(key)),
      ...early.map(([key]) => earlyEvents.delete(key)),
    ],
  })
}

/** A member event of a user of ours that follows the invite, and what it is built on. @throws RoomError M_BAD_STATE */
async function answerToInvite(
  deps: RemoteDeps,
  packed: InvitePackage,
  version: RoomVersion,
  { roomId, userId, content }: { roomId: RoomId; userId: UserId; content: JsonObject },
): Promise<EventInput> {
  const { origin, state, event } = packed
  const checked = await checkEvents(deps, version, roomId, [...state, event], { broughtBy: origin })
  const events = checked.flatMap((result) => (result.kind === 'ok' ? [result.event] : []))
  const invite = events.find(({ id }) => id === packed.eventId)
  if (invite === undefined) throw new RoomError('M_BAD_STATE', 'the invite that came by mail is damaged')
  const byKey = new Map<string, CheckedEvent>()
  for (const each of [...events, invite]) byKey.set(stateKeyOf(each.pdu) ?? '', each)
  const member = { type: 'm.room.member', sender: userId, content }
  const auth = authStateKeys(version, { ...member, state_key: userId }).flatMap((key) => byKey.get(key) ?? [])
  const follows: JsonObject = {
    prev_events: [referenceTo(version, invite)] as readonly JsonValue[],
    auth_events: auth.map((each) => referenceTo(version, each)) as readonly JsonValue[],
    depth: invite.pdu.depth + 1,
    origin_server_ts: invite.pdu.origin_server_ts,
  }
  return fromTemplate(deps, version, roomId, follows, { ...member, stateKey: userId })
}

async function packageOf(
  { store }: Pick<RemoteDeps, 'store'>,
  roomId: RoomId,
  userId: UserId,
): Promise<{ readonly packed: InvitePackage; readonly version: RoomVersion } | undefined> {
  const packed = await invitePackages.get(store, [roomId, userId])
  const version = packed === undefined ? undefined : roomVersion(packed.roomVersion)
  return packed === undefined || version === undefined ? undefined : { packed, version }
}

/**
 * Joins by what the inviter packed: the state is checked by the rules, the join is built and decided here, and goes to all
 * members. False where there is no package.
 */
export async function joinByPackage(deps: RemoteDeps, request: JoinRequest): Promise<boolean> {
  const { roomId, userId } = request
  const found = await packageOf(deps, roomId, userId)
  if (found === undefined) return false
  const { packed, version } = found
  const { origin: server, authChain, event, eventId: invite, isUnconfirmed } = packed
  const state = [...packed.state, event]
  if (mixesNetworks(deps.ownName, packed.state)) throw new RoomError('M_FORBIDDEN', MIXED_ROOM)
  const content = { ...request.content, membership: 'join' }
  const join = await answerToInvite(deps, packed, version, { roomId, userId, content })
  const room = await deps.registry.ensure(roomId, version)
  const doubt = isUnconfirmed === undefined ? {} : { isUnconfirmed }
  try {
    await enterRoom(deps, room, { server, via: [], join, state, authChain, invite, ...doubt })
  } catch (error) {
    deps.registry.discard(room)
    throw error
  }
  return true
}

/** Refuses an invite by mail to the inviter's node. False where there is no package, or too much waits for that node. */
export async function refuseByPackage(
  deps: RemoteDeps & { readonly mail?: RoomMail | undefined },
  roomId: RoomId,
  userId: UserId,
  more: JsonObject | undefined,
): Promise<boolean> {
  const { mail } = deps
  const found = await packageOf(deps, roomId, userId)
  if (found === undefined || mail === undefined || mail.isFull(found.packed.origin)) return false
  const { packed, version } = found
  const content = { ...more, membership: 'leave' }
  const { id, pdu } = await answerToInvite(deps, packed, version, { roomId, userId, content })
  const edu = { edu_type: MAILED_LEAVE, content: { room_id: roomId, event_id: id, event: pdu } }
  await deps.committer.submit({ durability: 'strict', writes: () => mail.queueDurable(packed.origin, edu) })
  return true
}

function joinedServers(state: readonly JsonObject[]): readonly ServerName[] {
  const servers = state.flatMap(({ type, state_key: key, content }) => {
    const userId = type === 'm.room.member' && typeof key === 'string' ? parseUserId(key) : undefined
    const isJoined = isJsonObject(content ?? null) && (content as JsonObject)['membership'] === 'join'
    return userId === undefined || !isJoined ? [] : serverOf(userId)
  })
  return [...new Set(servers)]
}

function parseMailed(content: JsonObject): Mailed | undefined {
  if (JSON.stringify(content).length > MAX_PACKAGE_LENGTH) return undefined
  const { room_id: room, event_id: eventId, room_version: version, event } = content
  const roomId = typeof room === 'string' ? parseRoomId(room) : undefined
  const shown = objects(content['invite_room_state'])
  const state = objects(content['state'])
  const authChain = objects(content['auth_chain'])
  if (roomId === undefined || typeof eventId !== 'string' || eventId.length > MAX_EVENT_ID) return undefined
  if (typeof version !== 'string' || event === undefined || !isJsonObject(event)) return undefined
  if (
    shown === undefined ||
    shown.length > MAX_SHOWN_EVENTS ||
    state === undefined ||
    authChain === undefined
  )
    return undefined
  const invite = { roomVersion: version, event, inviteRoomState: shown }
  const doubt = content['unconfirmed'] === true ? { isUnconfirmed: true as const } : {}
  return { roomId, eventId: eventId as EventId, invite, state, authChain, doubt }
}

/** None where it is absent. */
function objects(value: JsonValue | undefined): readonly JsonObject[] | undefined {
  if (value === undefined) return []
  if (!Array.isArray(value)) return undefined
  const list = (value as readonly JsonValue[]).filter((item) => isJsonObject(item))
  return list.length === value.length ? list : undefined
}
