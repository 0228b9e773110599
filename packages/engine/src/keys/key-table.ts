/** What is kept of the keys of other servers. */
import type { ServerName } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import { createReadCache } from '../kernel/read-cache.ts'
import type { Table } from '../kernel/table.ts'
import { table } from '../kernel/table.ts'
import type { Clock, Log, Store } from '../ports.ts'
import { learn, type KnownServer } from './known-keys.ts'
import type { ProvenDocument } from './proof.ts'

/** Servers whose keys are kept in memory. */
const MAX_CACHED_SERVERS = 4_096

const serverKeys: Table<readonly [ServerName], KnownServer> = table('server-keys', ['s'])

export interface KeyTable {
  load(server: ServerName): Promise<KnownServer | undefined>
  /** Resolves after the commit. `askedAt`: when the server itself was asked for it; `undefined` if a notary was. */
  keep(server: ServerName, proof: ProvenDocument, askedAt: number | undefined): Promise<void>
  /** Calls back when keys of a server were kept. */
  watch(listener: (server: ServerName) => void): () => void
}

export type KeyTableDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly clock: Clock
  readonly log: Log
}

export function createKeyTable({ store, committer, clock, log }: KeyTableDeps): KeyTable {
  const cache = createReadCache<KnownServer | undefined>(MAX_CACHED_SERVERS)
  const listeners = new Set<(server: ServerName) => void>()
  const load = (server: ServerName): Promise<KnownServer | undefined> =>
    cache.get(server, () => serverKeys.get(store, [server]))
  return {
    load,
    async keep(server, { document, proven }, askedAt) {
      const { server: known, conflicts } = learn(await load(server), document, proven, clock.now(), askedAt)
      for (const keyId of conflicts)
        log.log('warn', 'a server shows another key under the id of a known one', { server, keyId })
      await committer.submit({
        writes: () => [serverKeys.put([server], known)],
        publish: () => cache.drop(server),
      })
      for (const listener of listeners) listener(server)
    },
    watch(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
