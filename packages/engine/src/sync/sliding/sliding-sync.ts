/**
 * Simplified sliding sync: connections in memory, each with what its client was told. One that is lost, by a restart or
 * because there are too many, begins anew and loses nothing. spec: proposals/4186 "Connections"
 */
import type { JsonObject, RoomId } from '@plexus/core'
import { createLru, type Lru } from '../../kernel/lru.ts'
import { RoomError } from '../../rooms/types.ts'
import type { Recipient } from '../client-event.ts'
import { ignoredUsers, inviteFilter } from '../../users/unwanted.ts'
import { membershipsNow } from '../room-parts.ts'
import type { SectionDeps } from '../room-sections.ts'
import { formatSyncToken, type SyncToken } from '../tokens.ts'
import { createBumpStamps } from './bump-stamps.ts'
import { combine } from './config.ts'
import { extensionsOf, toDeviceSince } from './extensions.ts'
import { activeRooms, loadFilterFacts, type FilterFacts, type ListedRoom } from './lists.ts'
import { roomAnswer, type MatchedRoom, type SlidingDeps, type SlidingRound } from './room-result.ts'
import type { RoomConfig, SlidingList, SlidingRequest, SlidingSync, ToldRoom } from './types.ts'

/** Devices with connections that are remembered, and connections of each; the longest unused is forgotten. */
export const MAX_SLIDING_DEVICES = 500
export const MAX_SLIDING_CONNECTIONS = 10
/** Rooms that are assembled at a time. */
const ROOMS_AT_A_TIME = 8

/** What the client of a connection knows once it has an answer. Immutable. */
type Told = {
  readonly token: SyncToken
  readonly rooms: ReadonlyMap<RoomId, ToldRoom>
  readonly accountData: boolean
}
type Connection = {
  confirmed: Place | undefined
  pending: Place | undefined
  /** Of the newest request. */
  turn: number
}
type Place = { readonly pos: string; readonly told: Told }
type Round = { readonly told: Told; readonly body: JsonObject }

export function createSlidingSync(sections: SectionDeps): SlidingSync {
  const deps: SlidingDeps = { ...sections, bumpStamps: createBumpStamps(sections.rooms) }
  const devices = createLru<string, Lru<string, Connection>>(MAX_SLIDING_DEVICES)
  let answers = 0

  /** The connection, standing where the client does. @throws RoomError M_UNKNOWN_POS */
  const connect = ({ recipient, connId, pos }: SlidingRequest): Connection => {
    const name = deviceName(recipient)
    const device = devices.get(name) ?? createLru<string, Connection>(MAX_SLIDING_CONNECTIONS)
    devices.set(name, device)
    if (pos === undefined) {
      const connection = { confirmed: undefined, pending: undefined, turn: 0 }
      device.set(connId, connection)
      return connection
    }
    const connection = device.get(connId)
    if (connection?.pending?.pos === pos) connection.confirmed = connection.pending
    if (connection?.confirmed?.pos !== pos)
      throw new RoomError('M_UNKNOWN_POS', 'this connection is not known any more')
    connection.pending = undefined
    return connection
  }

  return {
    async sync(request) {
      request.signal?.throwIfAborted()
      const { toDevice } = request.extensions
      const got = toDevice === undefined ? undefined : toDeviceSince(toDevice, deps.committer.committed)
      const connection = connect(request)
      const before = connection.confirmed?.told
      if (got !== undefined) await deps.users.toDevice.acknowledge(request.recipient, got)
      let told = before
      const timeoutMs = before === undefined ? 0 : request.timeoutMs
      const { signal, recipient } = request
      connection.turn += 1
      const { turn } = connection
      const { body, told: after } = await deps.polls.until(recipient.userId, timeoutMs, signal, async () => {
        const { empty, ...round } = await assembleRound(deps, request, told)
        // Of an answer that says nothing the client need not know.
        told = round.told
        return { answer: round, empty }
      })
      answers += 1
      const pos = `${formatSyncToken(after.token)}.${answers}`
      // A client that asked again has no use for this answer, but for the one that it asked for.
      if (connection.turn === turn) connection.pending = { pos, told: after }
      return { pos, ...body }
    },
  }
}

const deviceName = ({ userId, deviceId }: Recipient): string => JSON.stringify([userId, deviceId])

async function assembleRound(
  deps: SlidingDeps,
  request: SlidingRequest,
  before: Told | undefined,
): Promise<Round & { readonly empty: boolean }> {
  const { recipient } = request
  const { userId } = recipient
  const serial = deps.serial.current
  const { rows, to } = await membershipsNow(deps, userId)
  const { accountData, pushRules } = deps.users
  const round: SlidingRound = {
    recipient,
    from: before?.token.position ?? 0,
    to,
    ignored: await ignoredUsers(accountData, userId),
    evaluator: await pushRules.evaluator(userId),
  }
  const toldRooms = new Map(before?.rooms)
  const showsInvite = await inviteFilter(accountData, userId)
  const shown = rows.filter(({ membership, sender }) => membership !== 'invite' || showsInvite(sender))
  const listed = await activeRooms(deps.rooms, userId, shown, new Set(toldRooms.keys()))
  const facts = await loadFilterFacts({ rooms: deps.rooms, accountData }, userId)
  const { matched, counts } = await matchRooms(request, listed, facts, toldRooms)
  const rooms: Record<string, JsonObject> = {}
  const next = new Map<RoomId, ToldRoom>()
  for (let start = 0; start < matched.length; start += ROOMS_AT_A_TIME) {
    const part = matched.slice(start, start + ROOMS_AT_A_TIME)
    const results = await Promise.all(part.map((one) => roomAnswer(deps, round, one)))
    results.forEach(({ result, told }, index) => {
      const roomId = part[index]?.room.row.roomId
      if (roomId === undefined) return
      next.set(roomId, told)
      if (result !== undefined) rooms[roomId] = result
    })
  }
  const about = matched.map(({ room: { row }, lists }) => ({
    roomId: row.roomId,
    lists,
    joined: row.membership === 'join',
    told: toldRooms.get(row.roomId),
  }))
  const hadAccountData = before?.accountData === true
  const extensions = await extensionsOf(deps, round, request.extensions, before?.token, hadAccountData, about)
  for (const room of about) {
    const told = next.get(room.roomId)
    if (told !== undefined) toldRooms.set(room.roomId, { ...told, extensions: extensions.told(room) })
  }
  return {
    told: {
      token: { position: to, serial, toDevice: to },
      rooms: toldRooms,
      accountData: request.extensions.accountData !== undefined,
    },
    body: { lists: counts, rooms, extensions: extensions.body },
    empty: Object.keys(rooms).length === 0 && extensions.empty,
  }
}

/** The rooms that lists and subscriptions are about, with what is wanted of each. */
async function matchRooms(
  { lists, subscriptions }: SlidingRequest,
  listed: readonly ListedRoom[],
  facts: FilterFacts,
  told: ReadonlyMap<RoomId, ToldRoom>,
): Promise<{ matched: readonly MatchedRoom[]; counts: JsonObject }> {
  const rules = new Map<RoomId, { readonly configs: RoomConfig[]; readonly lists: string[] }>()
  const rulesOf = (roomId: RoomId) => {
    const known = rules.get(roomId) ?? { configs: [], lists: [] }
    rules.set(roomId, known)
    return known
  }
  const counts: Record<string, JsonObject> = {}
  for (const [name, list] of lists) {
    const passing: ListedRoom[] = []
    for (const room of listed) if (await facts.passes(room, list.filters)) passing.push(room)
    counts[name] = { count: passing.length }
    for (const { row } of passing.filter((_, index) => isInRange(list, index))) {
      const rule = rulesOf(row.roomId)
      rule.configs.push(list)
      rule.lists.push(name)
    }
  }
  for (const [roomId, config] of subscriptions) rulesOf(roomId).configs.push(config)
  const matched = listed.flatMap((room) => {
    const { roomId } = room.row
    const rule = rules.get(roomId)
    if (rule === undefined) return []
    const config = combine(rule.configs)
    return [{ room, config, lists: rule.lists, isDm: facts.isDm(roomId), told: told.get(roomId) }]
  })
  return { matched, counts }
}

function isInRange({ ranges }: SlidingList, index: number): boolean {
  return ranges === undefined || ranges.some(([low, high]) => index >= low && index <= high)
}
