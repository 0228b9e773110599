/** What an answer brings beside room events. spec: proposals/4186 "Extensions", and proposals 3884, 3885, 3959, 3960, 3961 */
import type { JsonObject, JsonValue, RoomId } from '@plexus/core'
import type { EphemeralEvent } from '../../rooms-ephemeral/types.ts'
import { RoomError } from '../../rooms/types.ts'
import type { AccountDataEntry } from '../../users/types.ts'
import { receiptContent, typingEvent } from '../ephemeral.ts'
import type { SyncToken } from '../tokens.ts'
import type { SlidingDeps, SlidingRound } from './room-result.ts'
import type { ExtensionScope, SlidingExtensions, ToldRoom } from './types.ts'

export type ExtensionRoom = {
  readonly roomId: RoomId
  readonly lists: readonly string[]
  readonly joined: boolean
  /** Before this answer. */
  readonly told: ToldRoom | undefined
}

export type ExtensionAnswer = {
  readonly body: JsonObject
  readonly empty: boolean
  /** Which extensions told all that there is of the room, so that the next answer tells what is new. */
  readonly told: (room: ExtensionRoom) => ReadonlySet<string>
}

const TO_DEVICE_TOKEN = /^[0-9]{1,15}$/

/** `hadAccountData`: the client got the global account data up to `from`. */
export async function extensionsOf(
  deps: SlidingDeps,
  round: SlidingRound,
  wanted: SlidingExtensions,
  from: SyncToken | undefined,
  hadAccountData: boolean,
  rooms: readonly ExtensionRoom[],
): Promise<ExtensionAnswer> {
  const toDevice = await toDeviceOf(deps, round, wanted)
  const e2ee = wanted.e2ee ? await e2eeOf(deps, round, from) : undefined
  const knowsGlobal = hadAccountData ? (from?.position ?? 0) : 0
  const accountData = await accountDataOf(deps, round, wanted.accountData, knowsGlobal, rooms)
  const receipts = await receiptsOf(deps, round, wanted.receipts, rooms)
  const typing = typingOf(deps, wanted.typing, from, rooms)
  const parts = [toDevice, e2ee, accountData, receipts, typing]
  return {
    body: {
      ...(toDevice === undefined ? {} : { to_device: toDevice.body }),
      ...(e2ee === undefined ? {} : { e2ee: e2ee.body }),
      ...(accountData === undefined ? {} : { account_data: accountData.body }),
      ...(receipts === undefined ? {} : { receipts: receipts.body }),
      ...(typing === undefined ? {} : { typing: typing.body }),
    },
    empty: parts.every((part) => part?.empty ?? true),
    told: (room) =>
      new Set([
        ...(isInScope(wanted.accountData, room) ? ['accountData'] : []),
        ...(room.joined && isInScope(wanted.receipts, room) ? ['receipts'] : []),
      ]),
  }
}

type Part = { readonly body: JsonObject; readonly empty: boolean }

function isInScope(scope: ExtensionScope | undefined, { roomId, lists }: ExtensionRoom): boolean {
  if (scope === undefined) return false
  if (scope.lists === undefined && scope.rooms === undefined) return true
  const byList = scope.lists?.some((name) => name === '*' || lists.includes(name)) ?? false
  return byList || (scope.rooms?.some((id) => id === '*' || id === roomId) ?? false)
}

/**
 * Up to where the client has its to-device messages; `undefined` for a token of a future that was lost with the store,
 * which says nothing. @throws RoomError M_INVALID_PARAM
 */
export function toDeviceSince(
  { since = '0' }: NonNullable<SlidingExtensions['toDevice']>,
  committed: number,
): number | undefined {
  if (!TO_DEVICE_TOKEN.test(since))
    throw new RoomError('M_INVALID_PARAM', 'since of to_device is no token of this server')
  return Number(since) > committed ? undefined : Number(since)
}

/** Messages stay until the client comes back with the token of the answer that had them. */
async function toDeviceOf(
  { users }: SlidingDeps,
  { recipient, to }: SlidingRound,
  { toDevice }: SlidingExtensions,
): Promise<Part | undefined> {
  if (toDevice === undefined) return undefined
  const since = toDeviceSince(toDevice, to) ?? 0
  const { events, position } = await users.toDevice.inbox(recipient, since, to, toDevice.limit)
  return {
    body: { next_batch: String(Math.min(position, to)), events },
    empty: events.length === 0,
  }
}

async function e2eeOf(
  { users }: SlidingDeps,
  { recipient, to }: SlidingRound,
  from: SyncToken | undefined,
): Promise<Part> {
  const counts = await users.keys.counts(recipient)
  const lists =
    from === undefined ? undefined : await users.deviceLists.changes(recipient.userId, from.position, to)
  const changed = lists !== undefined && lists.changed.length + lists.left.length > 0
  return {
    body: {
      device_one_time_keys_count: counts.oneTimeKeys,
      device_unused_fallback_key_types: counts.unusedFallbackTypes,
      ...(changed ? { device_lists: lists } : {}),
    },
    empty: from !== undefined && !changed && counts.position <= from.position,
  }
}

async function accountDataOf(
  { users }: SlidingDeps,
  { recipient, to }: SlidingRound,
  scope: ExtensionScope | undefined,
  from: number,
  rooms: readonly ExtensionRoom[],
): Promise<Part | undefined> {
  if (scope === undefined) return undefined
  const { userId } = recipient
  const since = memo((from) => users.accountData.since(userId, from, to))
  const json = (entry: AccountDataEntry): JsonObject => ({ type: entry.type, content: entry.content })
  const byRoom: Record<string, readonly JsonObject[]> = {}
  for (const room of rooms.filter((one) => isInScope(scope, one))) {
    const isNew = room.told?.extensions.has('accountData') !== true
    const all = isNew ? await users.accountData.ofRoom(userId, room.roomId) : []
    const late = isNew ? [] : await since(room.told?.upTo ?? 0)
    const own = [...all, ...late.filter(({ roomId }) => roomId === room.roomId)]
    if (own.length > 0) byRoom[room.roomId] = own.map(json)
  }
  const global = (await since(from)).filter(({ roomId }) => roomId === undefined).map(json)
  const empty = global.length === 0 && Object.keys(byRoom).length === 0
  return { body: { global, rooms: byRoom }, empty }
}

async function receiptsOf(
  { receipts }: SlidingDeps,
  { recipient, to }: SlidingRound,
  scope: ExtensionScope | undefined,
  rooms: readonly ExtensionRoom[],
): Promise<Part | undefined> {
  if (scope === undefined) return undefined
  const since = memo((from) => receipts.since(from, to))
  const byRoom: Record<string, JsonValue> = {}
  for (const room of rooms.filter((one) => one.joined && isInScope(scope, one))) {
    const isNew = room.told?.extensions.has('receipts') !== true
    const found = isNew
      ? await receipts.ofRoom(room.roomId)
      : (await since(room.told?.upTo ?? 0)).filter(({ roomId }) => roomId === room.roomId)
    const content = receiptContent(found, (userId) => userId === recipient.userId)
    if (Object.keys(content).length > 0) byRoom[room.roomId] = { type: 'm.receipt', content }
  }
  return { body: { rooms: byRoom }, empty: Object.keys(byRoom).length === 0 }
}

function typingOf(
  { typing }: SlidingDeps,
  scope: ExtensionScope | undefined,
  from: SyncToken | undefined,
  rooms: readonly ExtensionRoom[],
): Part | undefined {
  if (scope === undefined) return undefined
  const changed = new Set(typing.changedSince(from?.serial ?? 0))
  const byRoom: Record<string, EphemeralEvent> = {}
  for (const room of rooms.filter((one) => one.joined && isInScope(scope, one))) {
    const users = typing.users(room.roomId)
    // Who began or stopped while the answers were not about the room was not told.
    const isNew = room.told === undefined || room.told.upTo < (from?.position ?? 0)
    const isNews = changed.has(room.roomId) || (isNew && (room.told !== undefined || users.length > 0))
    if (isNews) byRoom[room.roomId] = typingEvent(users)
  }
  return { body: { rooms: byRoom }, empty: Object.keys(byRoom).length === 0 }
}

/** Rooms that are followed stand at the same position: each is asked about once. */
function memo<T>(read: (from: number) => Promise<T>): (from: number) => Promise<T> {
  const known = new Map<number, Promise<T>>()
  return (from) => {
    const found = known.get(from) ?? read(from)
    known.set(from, found)
    return found
  }
}
