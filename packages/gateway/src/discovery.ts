/** Where a server is. spec: server-server-api.md "Resolving server names" */
import { isIP } from 'node:net'
import type { ServerName } from '@plexus/core'
import type { Clock } from '@plexus/engine/ports'
import type { ResolveMap } from './resolve-map.ts'
import type { WellKnown } from './well-known.ts'

const DEFAULT_PORT = 8448
/** Servers of one name that are tried, in the order of their SRV records. */
export const MAX_TARGETS = 4

/** A place to connect to. */
export type Target = {
  /** Host name or IP address without brackets. */
  readonly host: string
  readonly port: number
  /** The `Host` header. */
  readonly hostHeader: string
  /** The name that the certificate must be of; an IP address for literals. */
  readonly certificateName: string
  /** Named by the operator: may be of a private network. */
  readonly isConfigured?: true
}

/** Records of one SRV name, in the order to try; empty when there are none. @throws where DNS does not say so. */
export type LookupSrv = (name: string) => Promise<readonly { readonly name: string; readonly port: number }[]>

export interface ServerResolver {
  /**
   * The places of a server, best first; never empty. A look-up that nobody waits for any more goes on, for whom it helps.
   * @throws the signal's reason, and where DNS does not answer: a server is not looked for where it does not say it is.
   */
  resolve(name: ServerName, options?: { readonly signal?: AbortSignal }): Promise<readonly Target[]>
}

/** How long the places of a name are kept, in milliseconds, and of how many names; those asked for first make room. */
export const KEPT_MS: number = 5 * 60_000
export const MAX_KEPT_NAMES = 10_000
/** Names that are looked up at once. */
export const MAX_LOOKUPS = 2_048

export type ResolverInit = {
  readonly clock: Clock
  readonly wellKnown: WellKnown
  readonly lookupSrv: LookupSrv
  /** Names whose place is known. */
  readonly map?: ResolveMap | undefined
}

export function createServerResolver({ clock, wellKnown, lookupSrv, map }: ResolverInit): ServerResolver {
  const kept = new Map<ServerName, { readonly targets: readonly Target[]; readonly at: number }>()
  const finding = new Map<ServerName, Promise<readonly Target[]>>()

  /** By SRV records, else on the default port: steps 3.3 to 3.5 and 4 to 6. */
  async function bySrv(host: string): Promise<readonly Target[]> {
    for (const service of ['_matrix-fed', '_matrix']) {
      const records = await lookupSrv(`${service}._tcp.${host}`)
      const usable = records.filter(({ name }) => name !== '' && name !== '.')
      if (usable.length > 0)
        return usable
          .slice(0, MAX_TARGETS)
          .map(({ name, port }) => ({ host: name, port, hostHeader: host, certificateName: host }))
    }
    return [{ host, port: DEFAULT_PORT, hostHeader: host, certificateName: host }]
  }

  async function find(name: ServerName): Promise<readonly Target[]> {
    const delegated = (await wellKnown.delegate(name)) ?? name
    const target = explicitTarget(delegated)
    return target === undefined ? bySrv(delegated) : [target]
  }

  async function findAndKeep(name: ServerName): Promise<readonly Target[]> {
    try {
      const targets = await find(name)
      kept.delete(name)
      kept.set(name, { targets, at: clock.now() })
      const [oldest] = kept.keys()
      if (kept.size > MAX_KEPT_NAMES && oldest !== undefined) kept.delete(oldest)
      return targets
    } catch (error) {
      // Where it was before is a better guess than none.
      const known = kept.get(name)
      if (known === undefined) throw error
      return known.targets
    } finally {
      finding.delete(name)
    }
  }

  return {
    async resolve(name, { signal } = {}) {
      signal?.throwIfAborted()
      const place = map?.get(name)
      if (place !== undefined) {
        const certificateName = bare(splitServerName(name).host)
        return [{ ...splitPlace(place), hostHeader: name, certificateName, isConfigured: true }]
      }
      const explicit = explicitTarget(name)
      if (explicit !== undefined) return [explicit]
      const known = kept.get(name)
      if (known !== undefined && Math.abs(clock.now() - known.at) < KEPT_MS) return known.targets
      const running = finding.get(name)
      if (running === undefined && finding.size >= MAX_LOOKUPS)
        throw new Error('too many names are looked up')
      const found = running ?? findAndKeep(name)
      finding.set(name, found)
      return unlessAborted(found, signal)
    },
  }
}

/** @throws the signal's reason once it is aborted; the work goes on. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** Steps 1 and 2, or 3.1 and 3.2 of a delegated name; `undefined` for a host name without a port. */
function explicitTarget(name: ServerName): Target | undefined {
  const { host, port } = splitServerName(name)
  const address = bare(host)
  if (isIP(address) === 0 && port === undefined) return undefined
  return { host: address, port: port ?? DEFAULT_PORT, hostHeader: name, certificateName: address }
}

/** An IPv6 address keeps its brackets. */
export function splitServerName(name: ServerName): { readonly host: string; readonly port?: number } {
  const [, host = name, port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(name) ?? []
  return port === undefined ? { host } : { host, port: Number(port) }
}

function splitPlace(place: string): { readonly host: string; readonly port: number } {
  const { host, port = DEFAULT_PORT } = splitServerName(place as ServerName)
  return { host: bare(host), port }
}

const bare = (host: string): string => host.replace(/^\[|\]$/g, '')
