/** What is remembered of a server's keys. No I/O. */
import type { JsonObject, KeyId } from '@plexus/core'
import { decodeBase64, encodeBase64 } from '@plexus/core'
import type { KeyDocument } from '@plexus/core/names'
import type { KeyAnswer, WantedKey } from './types.ts'

/**
 * A document counts no longer than this from when it came, whatever it says.
 * spec: server-server-api.md GET /_matrix/key/v2/server, `valid_until_ts`
 */
export const MAX_KEY_VALIDITY_MS = 604_800_000
/** Keys remembered of one server; those that ended first are forgotten first. */
export const MAX_KEYS_OF_SERVER = 128

export type KnownKey = {
  /** Unpadded base64. */
  readonly key: string
  /** It counts for what is dated up to here, milliseconds since the epoch. */
  readonly validUntil: number
  /** Its server said that it uses the key no more: `validUntil` is when that was. */
  readonly expired?: true
}

export type KnownServer = {
  readonly keys: Readonly<Record<KeyId, KnownKey>>
  /** The newest document. */
  readonly document: JsonObject
  readonly validUntil: number
  readonly fetchedAt: number
  /** When the server itself was asked last: a key that it did not show then it did not have. */
  readonly askedAt?: number
}

/**
 * Adds what a document says of the keys in `proven`, by which it is signed, and of old keys.
 *
 * A key id stands for one key: under another the server would disown what it signed, and who takes over its address
 * would become its past. So another key under a known id is not taken (`conflicts`) while the known one counts. Once it
 * ended, a server that began anew, and chose the same id again, can be heard again. An expired key never comes back.
 */
export function learn(
  known: KnownServer | undefined,
  { verifyKeys, oldVerifyKeys, validUntil: until, json }: KeyDocument,
  proven: ReadonlySet<KeyId>,
  now: number,
  askedAt: number | undefined,
): { readonly server: KnownServer; readonly conflicts: readonly KeyId[] } {
  const validUntil = Math.min(until, now + MAX_KEY_VALIDITY_MS)
  const keys = new Map(Object.entries(known?.keys ?? {}) as [KeyId, KnownKey][])
  const conflicts: KeyId[] = []
  const add = (keyId: KeyId, publicKey: Uint8Array, found: Omit<KnownKey, 'key'>): void => {
    const before = keys.get(keyId)
    const key = encodeBase64(publicKey)
    if (before !== undefined && before.key !== key && now <= before.validUntil) conflicts.push(keyId)
    else if (before?.key === key && before.expired === true) return
    else if (before?.key === key && found.expired === undefined)
      keys.set(keyId, { key, validUntil: Math.max(before.validUntil, found.validUntil) })
    else keys.set(keyId, { key, ...found })
  }
  for (const { keyId, publicKey } of verifyKeys) if (proven.has(keyId)) add(keyId, publicKey, { validUntil })
  for (const { keyId, publicKey, expired } of oldVerifyKeys)
    add(keyId, publicKey, { validUntil: Math.min(expired, now), expired: true })
  const newest = [...keys].sort(([, a], [, b]) => b.validUntil - a.validUntil).slice(0, MAX_KEYS_OF_SERVER)
  const asked = askedAt ?? known?.askedAt
  const server = {
    keys: Object.fromEntries(newest),
    document: json,
    validUntil,
    fetchedAt: now,
    ...(asked === undefined ? {} : { askedAt: asked }),
  }
  return { server, conflicts }
}

/** What the server did not show when it was asked at `since` or later it does not have; before, it may yet show it. */
export function answerOf(
  known: KnownServer | undefined,
  { keyId, at, beyondValidity = false }: WantedKey,
  since: number,
  now: number,
): KeyAnswer {
  const isFresh = (known?.askedAt ?? -1) >= since
  const found = known?.keys[keyId]
  if (found === undefined) return isFresh ? 'none' : 'unknown'
  const counts = at <= found.validUntil || (beyondValidity && found.expired === undefined)
  if (counts) return decodeBase64(found.key) ?? 'none'
  // What is dated ahead may be within the validity of a later document.
  return found.expired === true || (isFresh && at <= now) ? 'none' : 'unknown'
}

/** A notary asks again once half of the time is over. spec: server-server-api.md GET /_matrix/key/v2/server */
export function isHalfOver({ fetchedAt, validUntil }: KnownServer, now: number): boolean {
  return now >= fetchedAt + (validUntil - fetchedAt) / 2
}
