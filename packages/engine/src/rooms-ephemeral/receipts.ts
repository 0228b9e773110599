/** Read receipts. spec: client-server-api/modules/receipts.md */
import { isJsonObject, ownValue, parseEventId, parseRoomId, parseUserId, serverOf } from '@plexus/core'
import type { EventId, JsonObject, JsonValue, RoomId, ServerName, UserId } from '@plexus/core'
import type { Committer, StreamPosition } from '../kernel/committer.ts'
import type { KeyedMutex } from '../kernel/mutex.ts'
import { createKeyedMutex } from '../kernel/mutex.ts'
import { createReadCache } from '../kernel/read-cache.ts'
import type { Table } from '../kernel/table.ts'
import { table } from '../kernel/table.ts'
import type { Outbox } from '../outbox-types.ts'
import type { Clock, Store, Write } from '../ports.ts'
import { aclOf } from '../rooms/acl.ts'
import type { EventRecord, Rooms } from '../rooms/types.ts'
import { RoomError } from '../rooms/types.ts'
import { mayBeMember, requireJoined } from './joined.ts'
import type { NewReceipt, Receipt, Receipts, ReceiptType } from './types.ts'

/** Receipts of one EDU that are looked at. */
export const MAX_RECEIPTS_PER_EDU = 500
/** Threads in which one user has a receipt in one room; a further one is dropped. */
export const MAX_THREADS_PER_USER = 1_000
/** Receipts of a room whose members are not all known: with more, those of unknown ones are dropped. */
export const MAX_RECEIPTS_BEFORE_MEMBERS = 5_000
/** Rooms and users whose receipts are kept in memory. */
export const MAX_CACHED_USERS = 2_000
/** Longest thread id, that of an event id. */
const MAX_THREAD_LENGTH = 255

type Key = readonly [room: string, user: string, type: string, thread: string]

/** Room, user, type, thread. */
const receipts: Table<Key, Receipt> = table('receipt', ['s', 's', 's', 's'])
export const RECEIPTS_MAP: string = receipts.map
/** The same receipts by position; a row whose position is not that of the receipt is stale. */
const stream: Table<readonly [number, ...Key], true> = table('receipt-stream', ['n', 's', 's', 's', 's'])

export type ReceiptsDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly rooms: () => Rooms
  readonly outbox: Pick<Outbox, 'sendToRoom'>
  readonly clock: Clock
}

type Candidate = Omit<Receipt, 'position'>

const keyOf = ({ roomId, userId, type, thread }: Candidate): Key => [roomId, userId, type, thread]

export function createReceipts(deps: ReceiptsDeps): Receipts {
  const { store, committer } = deps
  const mutex: KeyedMutex = createKeyedMutex()
  // Asked for with every event that `/sync` tells of.
  const known = createReadCache<readonly Receipt[]>(MAX_CACHED_USERS)
  committer.onCommit((_, maps) => {
    if (maps.has(receipts.map)) known.clear()
  })
  /** Of the newest receipt; not known before the first question. */
  let newest: StreamPosition | undefined
  const publish = (position: StreamPosition): void => {
    newest = position
  }
  const loadNewest = async (): Promise<StreamPosition> => {
    const [last] = await stream.list(store, [], { limit: 1, reverse: true })
    newest ??= last?.[0][0] ?? 0
    return newest
  }
  return {
    async set(userId, roomId, receipt) {
      const snapshot = await requireJoined(deps.rooms(), userId, roomId)
      const candidate = await toCandidate(deps, userId, roomId, receipt)
      await mutex.run(`${roomId} ${userId}`, async () => {
        const old = await advancedFrom(deps, candidate)
        if (old === 'behind') return
        await committer.submit({ writes: (position) => writesOf(candidate, old, position), publish })
        if (receipt.type !== 'm.read') return
        const isAllowed = await aclOf((id) => deps.rooms().event(id), snapshot)
        announce(deps, candidate, snapshot.joinedServers.filter(isAllowed))
      })
    },
    async since(from, to) {
      if (from >= to || (newest ?? (await loadNewest())) <= from) return []
      const rows = await stream.range(store, [], from + 1, to + 1)
      const found = await receipts.getMany(
        store,
        rows.map(([[, ...key]]) => key),
      )
      return found.filter((receipt, index) => receipt?.position === rows[index]?.[0][0]) as readonly Receipt[]
    },
    async ofRoom(roomId) {
      return (await receipts.list(store, [roomId])).map(([, receipt]) => receipt)
    },
    ofUser: (roomId, userId) =>
      known.get(JSON.stringify([roomId, userId]), async () => {
        const rows = await receipts.list(store, [roomId, userId])
        return rows.map(([, receipt]) => receipt)
      }),
    async edu(origin, content) {
      const candidates = await remoteCandidates(deps, origin, content)
      const changes: { candidate: Candidate; old: Receipt | undefined }[] = []
      for (const candidate of candidates) {
        const old = await advancedFrom(deps, candidate)
        if (old !== 'behind') changes.push({ candidate, old })
      }
      if (changes.length === 0) return undefined
      return {
        writes: (position) => changes.flatMap(({ candidate, old }) => writesOf(candidate, old, position)),
        publish,
      }
    },
  }
}

async function toCandidate(
  deps: ReceiptsDeps,
  userId: UserId,
  roomId: RoomId,
  { type, eventId, thread = '' }: NewReceipt,
): Promise<Candidate> {
  const event = await deps.rooms().event(eventId)
  if (event?.roomId !== roomId) throw new RoomError('M_NOT_FOUND', 'there is no such event in this room')
  if (thread.length > MAX_THREAD_LENGTH) throw new RoomError('M_INVALID_PARAM', 'thread_id is too long')
  return { roomId, userId, type, thread, eventId, ts: deps.clock.now() }
}

/** The receipt that the candidate replaces, or that it does not: receipts move forward only, as far as is known. */
async function advancedFrom(
  { store, rooms }: ReceiptsDeps,
  candidate: Candidate,
): Promise<Receipt | 'behind' | undefined> {
  const old = await receipts.get(store, keyOf(candidate))
  if (old === undefined) {
    const { roomId, userId, type } = candidate
    const own = await receipts.list(store, [roomId, userId, type], { limit: MAX_THREADS_PER_USER })
    return own.length >= MAX_THREADS_PER_USER ? 'behind' : undefined
  }
  if (old.eventId === candidate.eventId) return 'behind'
  const [before, after] = await rooms().events([old.eventId, candidate.eventId])
  return isBehind(after, before) ? 'behind' : old
}

function isBehind(event: EventRecord | undefined, than: EventRecord | undefined): boolean {
  return event?.order !== undefined && than?.order !== undefined && event.order < than.order
}

function writesOf(
  candidate: Candidate,
  old: Receipt | undefined,
  position: StreamPosition,
): readonly Write[] {
  const key = keyOf(candidate)
  return [
    receipts.put(key, { ...candidate, position }),
    stream.put([position, ...key], true),
    ...(old === undefined ? [] : [stream.delete([old.position, ...key])]),
  ]
}

function announce({ outbox }: ReceiptsDeps, receipt: Candidate, servers: readonly ServerName[]): void {
  const { roomId, userId, type, thread, eventId, ts } = receipt
  const data: JsonObject = { ts, ...(thread === '' ? {} : { thread_id: thread }) }
  const edu = {
    edu_type: 'm.receipt',
    content: { [roomId]: { [type]: { [userId]: { event_ids: [eventId], data } } } },
  }
  const key = JSON.stringify(['receipt', roomId, userId, type, thread])
  outbox.sendToRoom(roomId, servers, edu, key)
}

/** The receipts of an EDU that are well-formed and belong to joined users of the origin, as far as is known. */
async function remoteCandidates(
  { store, rooms, clock }: ReceiptsDeps,
  origin: ServerName,
  content: JsonObject,
): Promise<readonly Candidate[]> {
  const candidates: Candidate[] = []
  for (const [room, types] of Object.entries(content)) {
    const roomId = parseRoomId(room)
    const reads = isJsonObject(types) ? ownValue(types, 'm.read') : undefined
    if (roomId === undefined || !isJsonObject(reads)) continue
    const snapshot = await rooms().snapshot(roomId)
    if (snapshot === undefined) continue
    const joined = new Set<string>(snapshot.joinedMembers)
    const isFull = snapshot.isPartial === true && (await hasManyReceipts(store, roomId))
    for (const [user, receipt] of Object.entries(reads)) {
      if (candidates.length >= MAX_RECEIPTS_PER_EDU) return candidates
      const userId = parseUserId(user)
      if (userId === undefined || serverOf(userId) !== origin) continue
      if (!joined.has(userId) && (isFull || !mayBeMember(snapshot, userId))) continue
      const parsed = parseRemote(receipt, clock.now())
      if (parsed !== undefined)
        candidates.push({ roomId, userId, type: 'm.read' satisfies ReceiptType, ...parsed })
    }
  }
  return candidates
}

async function hasManyReceipts(store: Store, roomId: RoomId): Promise<boolean> {
  const rows = await receipts.list(store, [roomId], { limit: MAX_RECEIPTS_BEFORE_MEMBERS })
  return rows.length === MAX_RECEIPTS_BEFORE_MEMBERS
}

function parseRemote(
  value: JsonValue | undefined,
  now: number,
): { eventId: EventId; ts: number; thread: string } | undefined {
  const receipt = isJsonObject(value) ? value : {}
  const ids = ownValue(receipt, 'event_ids')
  const data = ownValue(receipt, 'data')
  const first: JsonValue | undefined = Array.isArray(ids) ? ids[0] : undefined
  const eventId = typeof first === 'string' ? parseEventId(first) : undefined
  if (eventId === undefined || !isJsonObject(data)) return undefined
  const ts = ownValue(data, 'ts')
  const thread = ownValue(data, 'thread_id') ?? ''
  if (typeof thread !== 'string' || thread.length > MAX_THREAD_LENGTH) return undefined
  return { eventId, thread, ts: typeof ts === 'number' && Number.isSafeInteger(ts) ? ts : now }
}
