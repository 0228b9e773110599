/**
 * What this node knows of others to leave mail for them, and what it tells them of itself: the durable EDU `plexus.contact`,
 * `{record, signature, accessKey}`.
 */
import type { JsonObject, ServerName } from '@plexus/core'
import { decodeBase64 } from '@plexus/core'
import type { SignedAccountRecord } from '@plexus/core/names'
import { accountRecords } from '@plexus/core/names'
import type { Committer } from '../kernel/committer.ts'
import { createLru } from '../kernel/lru.ts'
import { createSteady } from '../kernel/steady.ts'
import type { EduHandler } from '../outbox-types.ts'
import { AWAY_SHARE, LAST_AWAY_BACKOFF_MS, QUICK_TRIES } from '../outbox/sender.ts'
import type { Clock, Store, Write } from '../ports.ts'
import { contacts, type Contact } from './tables.ts'

/** Nodes that are remembered. Beyond, one that shares no room makes place, the one that came first. */
export const MAX_CONTACTS = 10_000
/**
 * How soon a node that nobody knew is looked up again: no relay may have been there yet. Longer each time, up to the interval, and
 * beyond for one that has been away for long, as the outbox tries it.
 */
export const FIRST_SEEK_PAUSE_MS = 60_000
export const SEEK_INTERVAL_MS = 1_800_000
const ACCESS_KEY_BYTES = 32

export type ContactsDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly clock: Clock
  readonly sharesRoom: (name: ServerName) => boolean
  /** Since when it has been out of the outbox's reach and was not heard from, milliseconds since the epoch. */
  readonly awaySince: (name: ServerName) => number | undefined
  /** Asks the network; `undefined` when nobody knows. */
  readonly find: (name: ServerName) => Promise<SignedAccountRecord | undefined>
}

export interface Contacts {
  /** Whose record counts at present, and is no tombstone. */
  get(name: ServerName): Promise<Contact | undefined>
  /** A record from anywhere: true when it counts and is newer than what is known, and so is kept. */
  learn(signed: SignedAccountRecord): Promise<boolean>
  /** Looks a node up that is not known, once in a while; who asks meanwhile hears the same. */
  seek(name: ServerName): Promise<Contact | undefined>
  /** Of a node that is known, or found. */
  hasMailboxes(name: ServerName): Promise<boolean>
  readonly edu: EduHandler
}

export async function loadContacts(deps: ContactsDeps): Promise<Contacts> {
  const { store, clock } = deps
  const steady = createSteady(clock)
  /** When each was looked up last, and how often. */
  const sought = createLru<ServerName, { readonly at: number; readonly times: number }>(MAX_CONTACTS)
  const places = createPlaces(deps, await contacts.list(store, []))

  /** What is to be kept of a record; `undefined` if it does not count or tells nothing new. */
  const next = async (signed: SignedAccountRecord, accessKey?: string): Promise<Contact | undefined> => {
    const { name } = signed.record
    const known = await contacts.get(store, [name])
    if (accountRecords.check(signed, clock.now()) !== undefined) return undefined
    const isNewer = known === undefined || accountRecords.isNewer(signed.record, known.signed.record)
    const key = accessKey ?? known?.accessKey
    if (!isNewer && key === known.accessKey) return undefined
    const kept = isNewer ? signed : known.signed
    return key === undefined ? { signed: kept } : { signed: kept, accessKey: key }
  }

  const get = async (name: ServerName): Promise<Contact | undefined> => {
    const known = await contacts.get(store, [name])
    if (known === undefined || known.signed.record.tombstone !== undefined) return undefined
    // Its signature was checked when it came.
    return clock.now() < known.signed.record.expires ? known : undefined
  }

  const learn = async (signed: SignedAccountRecord): Promise<boolean> => {
    const contact = await next(signed)
    if (contact === undefined) return false
    await deps.committer.submit({ writes: () => places.keep(signed.record.name, contact) })
    return true
  }

  /** Under way, each a few seconds. */
  const searches = new Map<ServerName, Promise<Contact | undefined>>()
  const search = async (name: ServerName): Promise<Contact | undefined> => {
    const found = await deps.find(name)
    if (found?.record.name === name) await learn(found)
    return get(name)
  }
  const seek: Contacts['seek'] = async (name) => {
    const running = searches.get(name)
    if (running !== undefined) return running
    const now = steady()
    const { at, times } = sought.get(name) ?? { at: Number.NEGATIVE_INFINITY, times: 0 }
    const awayMs = clock.now() - (deps.awaySince(name) ?? clock.now())
    if (now - at < seekPauseMs(times, awayMs)) return undefined
    sought.set(name, { at: now, times: times + 1 })
    const result = search(name).finally(() => searches.delete(name))
    searches.set(name, result)
    return result
  }

  return {
    get,
    learn,
    seek,
    async hasMailboxes(name) {
      const contact = (await get(name)) ?? (await seek(name))
      return (contact?.signed.record.mailboxes.length ?? 0) > 0
    },
    async edu(origin, content) {
      const signed = accountRecords.parse(content)
      const { accessKey } = content
      if (signed?.record.name !== origin || !isAccessKey(accessKey)) return undefined
      const contact = await next(signed, accessKey)
      return contact === undefined ? undefined : { writes: () => places.keep(origin, contact) }
    },
  }
}

/** Milliseconds between the last of so many times that a node was looked up and the next. */
export function seekPauseMs(times: number, awayMs: number): number {
  const pauseMs = Math.min(FIRST_SEEK_PAUSE_MS * 2 ** (times - 1), SEEK_INTERVAL_MS)
  return times <= QUICK_TRIES
    ? pauseMs
    : Math.max(pauseMs, Math.min(awayMs / AWAY_SHARE, LAST_AWAY_BACKOFF_MS))
}

/** Who has a place among the contacts; a commit that fails leaves this as the disk has it. */
function createPlaces(
  { committer, sharesRoom }: Pick<ContactsDeps, 'committer' | 'sharesRoom'>,
  rows: readonly (readonly [readonly [ServerName], Contact])[],
): { keep(name: ServerName, contact: Contact): readonly Write[] } {
  /** In the order in which they came. */
  let names = new Set(rows.map(([[name]]) => name))
  /** As the last commit left them, while another one is under way. */
  let committed: ReadonlySet<ServerName> | undefined
  committer.onCommit(() => (committed = undefined))
  committer.onFailure(() => {
    names = new Set(committed ?? names)
    committed = undefined
  })
  return {
    /** The writes that keep a contact; none when there is no place for it. To be called inside `Change.writes`. */
    keep(name, contact) {
      const put = contacts.put([name], contact)
      if (names.has(name)) return [put]
      const isFull = names.size >= MAX_CONTACTS
      const leaves = isFull ? [...names].find((known) => !sharesRoom(known)) : undefined
      if (isFull && leaves === undefined) return []
      committed ??= new Set(names)
      names.add(name)
      if (leaves === undefined) return [put]
      names.delete(leaves)
      return [put, contacts.delete([leaves])]
    },
  }
}

/** The content of the EDU. */
export function contactContent(signed: SignedAccountRecord, accessKey: string): JsonObject {
  return { ...accountRecords.json(signed), accessKey }
}

function isAccessKey(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 44 && decodeBase64(value)?.length === ACCESS_KEY_BYTES
}
