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

/** Records of one SRV name, in the order to try; empty when there are none. */
export type LookupSrv = (name: string) => Promise<readonly { readonly name: string; readonly port: number }[]>

export interface ServerResolver {
  /** The places of a server, best first; never empty. */
  resolve(name: ServerName): Promise<readonly Target[]>
}

/** How long the places of a name are kept, in milliseconds, and of how many names; those asked for first make room. */
export const KEPT_MS: number = 5 * 60_000
export const MAX_KEPT_NAMES = 10_000

export type ResolverInit = {
  readonly clock: Clock
  readonly wellKnown: WellKnown
  readonly lookupSrv: LookupSrv
  /** Names whose place is known. */
  readonly map?: ResolveMap | undefined
}

export function createServerResolver({ clock, wellKnown, lookupSrv, map }: ResolverInit): ServerResolver {
  const kept = new Map<ServerName, { readonly targets: readonly Target[]; readonly until: number }>()

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

  return {
    async resolve(name) {
      const place = map?.get(name)
      if (place !== undefined) {
        const certificateName = bare(splitServerName(name).host)
        return [{ ...splitPlace(place), hostHeader: name, certificateName, isConfigured: true }]
      }
      const explicit = explicitTarget(name)
      if (explicit !== undefined) return [explicit]
      const known = kept.get(name)
      if (known !== undefined && known.until > clock.now()) return known.targets
      const targets = await find(name)
      kept.delete(name)
      kept.set(name, { targets, until: clock.now() + KEPT_MS })
      const [oldest] = kept.keys()
      if (kept.size > MAX_KEPT_NAMES && oldest !== undefined) kept.delete(oldest)
      return targets
    },
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
