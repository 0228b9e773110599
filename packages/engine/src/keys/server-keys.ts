/**
 * The keys of all servers: those of key names are in the name, those of others are fetched and remembered.
 *
 * Invariants:
 * 1. A key is used only once it is committed.
 * 2. A document counts only for the keys by which its server signed it; what a notary brings is signed by the notary too.
 * 3. What is remembered of one server, fetched at once, also for what one server brought, and remembered of failures is
 *    bounded.
 */
import type { KeyId, ServerName } from '@plexus/core'
import { keyOfName } from '@plexus/core/names'
import type { Clock, Federation, Random, Signer, Verifier } from '../ports.ts'
import { askForKeys } from './ask.ts'
import { createKeyFetcher } from './fetcher.ts'
import { createKeyTable, type KeyTableDeps } from './key-table.ts'
import { answerOf, type KnownServer } from './known-keys.ts'
import { createNotary } from './notary.ts'
import type { KeyAnswer, ServerKeys } from './types.ts'

/** How long a look-up waits for keys that must be fetched; the fetch goes on. */
export const LOOKUP_WAIT_MS = 10_000

export type ServerKeysDeps = KeyTableDeps & {
  readonly federation: Pick<Federation, 'serverKeys' | 'notaryKeys'>
  readonly signer: Signer
  readonly verifier: Verifier
  readonly random: Random
}

/** `notaries` are asked, in order, about servers that do not answer themselves; none by default. */
export type ServerKeysInit = { readonly notaries?: readonly ServerName[] }

export interface ServerKeysOwner extends ServerKeys {
  /** Waits for the fetches that are under way. */
  idle(): Promise<void>
}

export function createServerKeys(
  deps: ServerKeysDeps,
  { notaries = [] }: ServerKeysInit = {},
): ServerKeysOwner {
  const { clock } = deps
  const table = createKeyTable(deps)
  const fetcher = createKeyFetcher(deps, (server) =>
    askForKeys({ ...deps, notaries, table, lookup: (wanted) => lookup(wanted) }, server),
  )

  const lookup: ServerKeys['lookup'] = async (wanted, options = {}) => {
    const { waitMs = LOOKUP_WAIT_MS, since = clock.now() } = options
    const keyOf = localKeys(deps.signer)
    const answers = wanted.map(({ server, keyId }) => keyOf(server, keyId))
    const servers = new Set(
      wanted.flatMap(({ server }, index) => (answers[index] === undefined ? server : [])),
    )
    if (servers.size === 0) return answers as readonly KeyAnswer[]
    const known = new Map<ServerName, KnownServer | undefined>()
    const read = async (): Promise<void> => {
      await Promise.all([...servers].map(async (server) => known.set(server, await table.load(server))))
    }
    const complete = (): readonly KeyAnswer[] =>
      wanted.map((key, index) => answers[index] ?? answerOf(known.get(key.server), key, since, clock.now()))
    await read()
    const first = complete()
    const missing = new Set(wanted.flatMap(({ server }, index) => (first[index] === 'unknown' ? server : [])))
    if (missing.size === 0) return first
    const fetching = Promise.all([...missing].map((server) => fetcher.fetch(server, options)))
    if (waitMs === 0) return first
    await within(clock, waitMs, fetching)
    await read()
    return complete()
  }

  return {
    lookup,
    watch: (listener) => table.watch(listener),
    ...createNotary({ ...deps, table, fetcher }),
    idle: () => fetcher.idle(),
  }
}

/** The keys that need no fetching, for one batch: reading the key in a name is dear. */
function localKeys({
  name,
  keyId: ownKeyId,
  publicKey,
}: Signer): (server: ServerName, keyId: KeyId) => KeyAnswer | undefined {
  const named = new Map<ServerName, Uint8Array | undefined>()
  return (server, keyId) => {
    if (!named.has(server)) named.set(server, keyOfName(server))
    const own = keyId === ownKeyId ? publicKey : 'none'
    return named.get(server) ?? (server === name ? own : undefined)
  }
}

/** Waits for a promise, but no longer than for `ms`. */
async function within(clock: Clock, ms: number, promise: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const cancel = clock.after(ms, resolve)
  await Promise.race([promise, late])
  cancel()
}
