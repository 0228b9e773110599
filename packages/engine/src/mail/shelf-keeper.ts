/**
 * Keeps the key shelves of this node's users filled, at each relay that keeps its mail. DESIGN section 8 "Key shelf"
 *
 * Invariants:
 * 1. A one-time key has left this node's table, on disk, before a relay gets it, and goes to one relay once: what
 *    becomes of it there is unknown, so that it is never given again. A relay gets so many in a time, whatever it says is
 *    left: clients make new ones for those that were given, and forget old ones, which other relays may still give out.
 * 2. A shelf of a user has a higher sequence than any before it, and is on disk before a relay has it.
 */
import type { JsonObject, UserId } from '@plexus/core'
import { canonicalJson, encodeBase64 } from '@plexus/core'
import type { SignedShelf } from '@plexus/core/names'
import {
  MAX_SHELF_BYTES,
  MAX_SHELF_DEVICES,
  MAX_SHELF_KEYS_OF_NAME,
  MAX_SHELF_MS,
  shelfBytes,
  shelfDevices,
  shelfRecords,
} from '@plexus/core/names'
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import type { Committer } from '../kernel/committer.ts'
import { createLru } from '../kernel/lru.ts'
import type { Clock, DeviceStock, Log, Mailboxes, ShelfCounts, ShelfKeys, Signer, Store } from '../ports.ts'
import { crossSigning, deviceKeys, devices, fallbackKeys, keyCounts, signatures } from '../users/tables.ts'
import type { KeyShelf } from '../users/types.ts'
import { shelves, type ShelfRow } from './tables.ts'

/** Users whose keys are shown. */
const MAX_SHELF_USERS = 64
/** One-time keys of a device at one relay, and those that it gets within `SHELF_LOOK_MS`; they are filled up when half of them are left. */
export const SHELF_KEYS = 10
/** How often a shelf is made anew though nothing changed, and a relay is asked what is left. */
export const SHELF_RENEWAL_MS: number = 24 * 3_600_000
export const SHELF_LOOK_MS = 1_800_000
/** Devices at relays of which it is remembered what was given. */
const MAX_REMEMBERED_DEVICES = 10_000
/** Commits closer together than this are looked at once. */
const SETTLE_MS = 1_000
/** The same for keys of devices: who closes the app as soon as they have an account could be encrypted to by nobody. */
export const DEVICE_SETTLE_MS = 200
/** Length of the keys that go to a relay at once, as JSON. */
const MAX_STOCK_LENGTH = 24_576

/** Changes of these are seen in what a shelf shows. */
const SHOWN: readonly string[] = [crossSigning, deviceKeys, devices, fallbackKeys, keyCounts, signatures].map(
  ({ map }) => map,
)

export type ShelfKeeperDeps = {
  readonly store: Store
  readonly incarnation: string
  readonly committer: Committer
  readonly clock: Clock
  readonly log: Log
  readonly signer: Signer
  readonly mailboxes: Pick<Mailboxes, 'stock'>
  /** Asked at each use: users are made after the mail. */
  readonly keyShelf: () => KeyShelf
}

export interface ShelfKeeper {
  /** Fills the shelves at a relay whose mail is taken, where they may want it. @throws MailError, CarrierError */
  fill(relay: string): Promise<void>
  close(): void
}

/** `changed`: what the shelves show may have. */
export function createShelfKeeper(deps: ShelfKeeperDeps, changed: () => void): ShelfKeeper {
  const { clock, committer } = deps
  const allowances = createAllowances(clock)
  /** When each relay was filled in this process, and how often something had changed by then. */
  const filled = new Map<string, { readonly at: number; readonly changes: number }>()
  let changes = 0
  const timers = new Map<number, () => void>()
  const changedIn = (ms: number): void => {
    if (timers.has(ms)) return
    const run = (): void => {
      timers.delete(ms)
      changed()
    }
    timers.set(ms, clock.after(ms, run))
  }
  const stop = committer.onCommit((_position, maps) => {
    if (!SHOWN.some((map) => maps.has(map))) return
    changes += 1
    changedIn(maps.has(deviceKeys.map) ? DEVICE_SETTLE_MS : SETTLE_MS)
  })
  return {
    async fill(relay) {
      const before = filled.get(relay)
      const now = clock.now()
      if (before?.changes === changes && Math.abs(now - before.at) < SHELF_LOOK_MS) return
      const mark = { at: now, changes }
      const users = (await deps.keyShelf().users()).slice(0, MAX_SHELF_USERS)
      const share = Math.floor(MAX_SHELF_KEYS_OF_NAME / users.length)
      for (const user of users) await fillShelf({ ...deps, allowances, share }, relay, user)
      filled.set(relay, mark)
    },
    close() {
      stop()
      for (const cancel of timers.values()) cancel()
    },
  }
}

/** How often a relay made this node give something of a device within `SHELF_LOOK_MS`. */
interface Allowances {
  used(what: readonly string[]): number
  use(what: readonly string[], count: number): void
}

function createAllowances(clock: Clock): Allowances {
  const taken = createLru<string, { readonly since: number; readonly count: number }>(MAX_REMEMBERED_DEVICES)
  const current = (what: readonly string[]): { readonly since: number; readonly count: number } => {
    const now = clock.now()
    const before = taken.get(what.join(' '))
    return before !== undefined && Math.abs(now - before.since) < SHELF_LOOK_MS
      ? before
      : { since: now, count: 0 }
  }
  return {
    used: (what) => current(what).count,
    use(what, more) {
      const { since, count } = current(what)
      taken.set(what.join(' '), { since, count: count + more })
    },
  }
}

/** `share`: one-time keys that a user may have at a relay. */
type FillDeps = ShelfKeeperDeps & { readonly allowances: Allowances; readonly share: number }

/** What a relay says is left of the keys of a user's devices. */
type ToldCounts = {
  readonly relay: string
  readonly user: UserId
  readonly ids: readonly string[]
  readonly counts: ShelfCounts
}

async function fillShelf(deps: FillDeps, relay: string, user: UserId): Promise<void> {
  const shelf = await shelfOf(deps, user)
  if (shelf === undefined) return
  const ids = shelfDevices(shelf.record)
  const before = await deps.mailboxes.stock(relay, shelf, await fallbacks(deps, user, ids))
  const told = { relay, user, ids, counts: before }
  await noteGiven(deps, told)
  const keys = await nextKeys(deps, told)
  if (Object.keys(keys).length > 0) await deps.mailboxes.stock(relay, shelf, keys)
}

/** The shelf as it is now: made anew where what it shows has changed, it is a day old, or relays may have a newer one that this store forgot. */
async function shelfOf(
  { store, incarnation, committer, clock, log, signer, keyShelf }: ShelfKeeperDeps,
  user: UserId,
): Promise<SignedShelf | undefined> {
  const list = await keyShelf().list(user)
  const text = canonicalJson(list)
  const now = clock.now()
  const known = await shelves.get(store, [user])
  const shows = encodeBase64(sha256(utf8ToBytes(text)))
  const age = known === undefined ? 0 : now + MAX_SHELF_MS - known.signed.record.expires
  const isSame = known?.shows === shows && known.by === incarnation
  if (isSame && Math.abs(age) < SHELF_RENEWAL_MS) return known.signed
  const sequence = Math.max(now, (known?.signed.record.sequence ?? 0) + 1)
  const record = { name: signer.name, sequence, expires: now + MAX_SHELF_MS, user, list }
  if (shelfDevices(record).length > MAX_SHELF_DEVICES || shelfBytes(list) > MAX_SHELF_BYTES) {
    log.log('info', 'a user has too many devices for a key shelf', { devices: shelfDevices(record).length })
    return undefined
  }
  const signature = encodeBase64(await signer.sign(shelfRecords.bytes(record)))
  const row: ShelfRow = { signed: { record, signature }, shows, by: incarnation }
  await committer.submit({ durability: 'strict', writes: () => [shelves.put([user], row)] })
  return row.signed
}

async function fallbacks(
  { keyShelf }: ShelfKeeperDeps,
  userId: UserId,
  ids: readonly string[],
): Promise<ShelfKeys> {
  const found: [string, DeviceStock][] = []
  for (const deviceId of ids) {
    const fallback = await keyShelf().fallback({ userId, deviceId })
    if (fallback !== undefined) found.push([deviceId, { add: [], fallback }])
  }
  return Object.fromEntries(found)
}

async function noteGiven(
  { keyShelf, allowances }: FillDeps,
  { relay, user: userId, ids, counts }: ToldCounts,
): Promise<void> {
  for (const deviceId of ids) {
    const what = [relay, userId, deviceId, 'fallback']
    const isUsed = Object.hasOwn(counts, deviceId) && counts[deviceId]?.fallbackUsed === true
    if (!isUsed || allowances.used(what) > 0) continue
    allowances.use(what, 1)
    await keyShelf().fallbackGiven({ userId, deviceId })
  }
}

/** One-time keys for the devices that have few left at the relay, as far as they fit. */
async function nextKeys(
  { keyShelf, allowances, share }: FillDeps,
  { relay, user: userId, ids, counts }: ToldCounts,
): Promise<ShelfKeys> {
  const found: [string, { add: readonly JsonObject[] }][] = []
  let length = 0
  let room = share - Object.values(counts).reduce((sum, { left }) => sum + left, 0)
  for (const deviceId of ids) {
    const left = Object.hasOwn(counts, deviceId) ? (counts[deviceId]?.left ?? 0) : 0
    const what = [relay, userId, deviceId]
    const wanted = Math.min(room, SHELF_KEYS - Math.max(left, allowances.used(what)))
    if (wanted <= 0 || left > SHELF_KEYS / 2 || length > MAX_STOCK_LENGTH) continue
    const add = await keyShelf().take({ userId, deviceId }, wanted)
    allowances.use(what, add.length)
    length += JSON.stringify(add).length
    room -= add.length
    if (add.length > 0) found.push([deviceId, { add }])
  }
  return Object.fromEntries(found)
}
