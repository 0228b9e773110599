/**
 * Asks for keys at the relays of a node that is away. A relay is believed in nothing: a shelf counts by its owner's
 * signature and never after a newer one, a key by the signature of the device that the shelf shows.
 */
import type { JsonObject, ServerName, UserId } from '@plexus/core'
import { checkCanonical, isJsonObject, ownValue, parseUserId, serverOf } from '@plexus/core'
import { isKeyName, shelfRecords } from '@plexus/core/names'
import type { MailboxAddress, ShelfRecord, SignedShelf } from '@plexus/core/names'
import { withinTime } from '../kernel/within-time.ts'
import { CarrierError } from '../ports.ts'
import type { CallOptions, Federation, Mailboxes, ShelfAnswer, Verifier } from '../ports.ts'
import { isSignature } from '../users/cross-signing.ts'
import { deviceSigningKey, isOneTimeKey, signaturesOf } from '../users/key-format.ts'
import { SHELF_ALGORITHM } from '../users/key-shelf.ts'
import type { Contacts } from './contacts.ts'
import { loadSilentNames, type SilentNamesDeps } from './silent-names.ts'
import { MAX_SEEN_SHELVES, seenShelves } from './tables.ts'

/** How long a node is waited for before its shelves are asked beside, and the part of the time that there is. */
const SHELF_AFTER_MS = 2_500
const SHELF_AFTER_PART = 1 / 4
/** How long who does not say waits for keys. spec: client-server-api/modules/end_to_end_encryption.md POST /keys/query "timeout" */
const DEFAULT_WAIT_MS = 10_000
/** How much longer, where nobody has shown anything by then: what is encrypted without a key can never be read. */
const GRACE_MS = 20_000
/**
 * The whole time for a name of which lately neither node nor shelf said anything: who asks for the keys of a room's members waits for
 * them all. It is given all its time again after a while, longer each time.
 */
export const SILENT_WAIT_MS = 2_000

export type ShelfAskerDeps = SilentNamesDeps & {
  readonly verifier: Verifier
  readonly mailboxes: Pick<Mailboxes, 'ask'>
  readonly contacts: Pick<Contacts, 'get' | 'seek'>
  /** This node is at a relay, or has an address of its own. */
  readonly isReachable: () => Promise<boolean>
}

type Keys = Pick<Federation, 'userDevices' | 'claimKeys'>

/** What waits for a shelf: to the deadline, and so much longer where nothing was shown by then. */
type Wait = { readonly deadline: number; readonly graceMs: number }

/** The same calls, answered by the shelves of a name that is a key where its node does not answer, or not soon. */
export async function withShelves(federation: Keys, deps: ShelfAskerDeps): Promise<Keys> {
  const { clock } = deps
  const silent = await loadSilentNames(deps)

  /** @throws what `ask` does, when no shelf answers either. */
  const orElse = async <T>(
    name: ServerName,
    ask: (options: CallOptions) => Promise<T>,
    options: CallOptions,
    shelf: (wait: Wait) => Promise<T | undefined>,
  ): Promise<T> => {
    if (!isKeyName(name)) return ask(options)
    const isShort = silent.has(name)
    const since = silent.steady()
    const timeoutMs = Math.min(options.timeoutMs ?? DEFAULT_WAIT_MS, isShort ? SILENT_WAIT_MS : Infinity)
    const deadline = clock.now() + timeoutMs
    const asked = ask({ ...options, timeoutMs })
    const answered = asked.then(
      (answer) => {
        silent.spoke(name)
        return { answer }
      },
      (error: unknown) => {
        if (error instanceof CarrierError && error.code !== 'refused') return
        silent.spoke(name)
        throw error
      },
    )
    const soon = await withinTime(deps, Math.min(SHELF_AFTER_MS, timeoutMs * SHELF_AFTER_PART), answered)
    if (soon !== undefined) return soon.answer
    const wait = { deadline, graceMs: isShort ? 0 : GRACE_MS }
    const shown = shelf(wait).then((answer) => (answer === undefined ? undefined : { answer }))
    const first = (await Promise.race([answered, shown])) ?? (await answered) ?? (await shown)
    if (first !== undefined) {
      silent.spoke(name)
      return first.answer
    }
    // While this node reaches nobody itself that says nothing of others.
    if (!isShort && (await deps.isReachable().catch(() => false))) await silent.note(name, since)
    return asked
  }
  return {
    userDevices: (name, userId, options = {}) =>
      orElse(
        name,
        (given) => federation.userDevices(name, userId, given),
        options,
        async (wait) => (await newestShelf(deps, name, userId, wait))?.shelf.record.list,
      ),
    claimKeys: (name, claims, options = {}) =>
      orElse(
        name,
        (given) => federation.claimKeys(name, claims, given),
        options,
        (wait) => claimFromShelves(deps, name, claims, wait),
      ),
  }
}

/** What comes before the deadline. */
const before = <T>({ clock }: ShelfAskerDeps, deadline: number, work: Promise<T>): Promise<T | undefined> =>
  withinTime({ clock }, Math.max(0, deadline - clock.now()), work)

async function mailboxesOf(
  { contacts }: ShelfAskerDeps,
  name: ServerName,
): Promise<readonly MailboxAddress[]> {
  const contact = (await contacts.get(name)) ?? (await contacts.seek(name))
  return contact?.signed.record.mailboxes ?? []
}

/** What the relay answers, if it is of this user, sound, and not older than what was seen before. */
async function askAt(
  deps: ShelfAskerDeps,
  mailbox: MailboxAddress,
  user: UserId,
  devices: readonly string[],
): Promise<ShelfAnswer | undefined> {
  const name = serverOf(user)
  try {
    const answer = await deps.mailboxes.ask(mailbox, name, { user, devices })
    const { record } = answer.shelf
    const why = shelfRecords.check(answer.shelf, deps.clock.now())
    const isTheirs = record.name === name && record.user === user && why === undefined
    const seen = (await seenShelves.get(deps.store, [user]))?.sequence ?? 0
    return isTheirs && record.sequence >= seen ? answer : undefined
  } catch (error) {
    deps.log.log('debug', 'a relay shows no keys', { relay: mailbox.peerId, error: String(error) })
    return undefined
  }
}

/**
 * The newest of what all relays show by the deadline, one alone could hide that a device is gone, and the relays that showed any. Where
 * none did, the first that does counts.
 */
async function newestShelf(
  deps: ShelfAskerDeps,
  name: ServerName,
  user: UserId,
  { deadline, graceMs }: Wait,
): Promise<{ readonly shelf: SignedShelf; readonly mailboxes: readonly MailboxAddress[] } | undefined> {
  if (serverOf(user) !== name) return undefined
  const mailboxes = (await before(deps, deadline + graceMs, mailboxesOf(deps, name))) ?? []
  const shown: { readonly mailbox: MailboxAddress; readonly shelf: SignedShelf }[] = []
  const { promise: first, resolve } = Promise.withResolvers<void>()
  const asked = mailboxes.map(async (mailbox) => {
    const answer = await askAt(deps, mailbox, user, [])
    if (answer === undefined) return
    shown.push({ mailbox, shelf: answer.shelf })
    resolve()
  })
  const all = Promise.all(asked)
  await before(deps, deadline, all)
  if (shown.length === 0) await before(deps, deadline + graceMs, Promise.race([first, all]))
  const [newest] = shown.toSorted((a, b) => b.shelf.record.sequence - a.shelf.record.sequence)
  if (newest === undefined) return undefined
  await noteSeen(deps, newest.shelf.record)
  return { shelf: newest.shelf, mailboxes: shown.map(({ mailbox }) => mailbox) }
}

async function noteSeen(
  { store, committer }: ShelfAskerDeps,
  { user, sequence, expires }: ShelfRecord,
): Promise<void> {
  const seen = await seenShelves.get(store, [user])
  if (seen !== undefined && seen.sequence >= sequence) return
  const others = seen === undefined ? await seenShelves.list(store, []) : []
  const [oldest] =
    others.length < MAX_SEEN_SHELVES ? [] : others.toSorted(([, a], [, b]) => a.expires - b.expires)
  await committer.submit({
    writes: () => [
      ...(oldest === undefined ? [] : [seenShelves.delete(oldest[0])]),
      seenShelves.put([user], { sequence, expires }),
    ],
  })
}

async function claimFromShelves(
  deps: ShelfAskerDeps,
  name: ServerName,
  claims: Readonly<Record<string, Readonly<Record<string, string>>>>,
  wait: Wait,
): Promise<JsonObject | undefined> {
  const found: [string, JsonObject][] = []
  for (const [text, ofUser] of Object.entries(claims)) {
    const user = parseUserId(text)
    const ids = Object.keys(ofUser).filter((id) => ofUser[id] === SHELF_ALGORITHM)
    if (user === undefined || serverOf(user) !== name || ids.length === 0) continue
    const keys = await claimOf(deps, user, ids, wait)
    if (keys.size > 0) found.push([user, Object.fromEntries(keys)])
  }
  return found.length === 0 ? undefined : { one_time_keys: Object.fromEntries(found) }
}

/** A key of each device: a one-time key of the first relay that has one, else a fallback key. */
async function claimOf(
  deps: ShelfAskerDeps,
  user: UserId,
  ids: readonly string[],
  { deadline, graceMs }: Wait,
): Promise<ReadonlyMap<string, JsonObject>> {
  const found = new Map<string, JsonObject>()
  const spare = new Map<string, JsonObject>()
  const now = deps.clock.now()
  // Half of the time is left for the claim: a relay that is out of reach uses up the other one.
  const wait = { deadline: now + (deadline - now) / 2, graceMs }
  const newest = await newestShelf(deps, serverOf(user), user, wait)
  if (newest === undefined) return found
  for (const mailbox of newest.mailboxes) {
    const wanted = ids.filter((id) => !found.has(id))
    if (wanted.length === 0) break
    const { keys = {} } = (await before(deps, deadline + graceMs, askAt(deps, mailbox, user, wanted))) ?? {}
    for (const id of wanted) {
      const named = ownValue(keys, id)
      const key =
        named === undefined || !isJsonObject(named) ? undefined : await keyIn(deps, newest.shelf, id, named)
      if (key !== undefined) (key['fallback'] === true ? spare : found).set(id, named as JsonObject)
    }
  }
  return new Map([...spare, ...found])
}

/** The one key of the algorithm, if the device that the shelf shows signed it. */
async function keyIn(
  { verifier }: ShelfAskerDeps,
  { record: { user, list } }: SignedShelf,
  deviceId: string,
  named: JsonObject,
): Promise<JsonObject | undefined> {
  const [name = '', key] = Object.entries(named)[0] ?? []
  const isKey = name.startsWith(`${SHELF_ALGORITHM}:`) && isOneTimeKey(key) && isJsonObject(key)
  const publicKey = deviceKeyIn(list, deviceId)
  if (!isKey || publicKey === undefined || checkCanonical(key) !== undefined) return undefined
  const signature = signaturesOf(key, user)[`ed25519:${deviceId}`]
  const isSigned = signature !== undefined && (await isSignature(verifier, key, publicKey, signature))
  return isSigned ? key : undefined
}

function deviceKeyIn(list: JsonObject, deviceId: string): Uint8Array | undefined {
  const devices = ownValue(list, 'devices')
  const entries = Array.isArray(devices) ? devices : []
  for (const entry of entries) {
    const keys = isJsonObject(entry) && entry['device_id'] === deviceId ? entry['keys'] : undefined
    if (keys !== undefined && isJsonObject(keys)) return deviceSigningKey(keys, deviceId)
  }
  return undefined
}
