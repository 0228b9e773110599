/** Whom a connection comes from that a proxy of the operator's passes on. */
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { StartError } from '@plexus/daemon'

/** Networks that one names. */
const MAX_NETWORKS = 32
/** Proxies one behind the other that are believed. */
const MAX_HOPS = 8

export type AddressRange = { readonly address: string; readonly prefix: number }

/** Addresses, and networks like `10.0.0.0/8` and `fd00::/8`. @throws StartError */
export function readTrustedProxies(texts: readonly string[] = []): readonly AddressRange[] {
  if (texts.length > MAX_NETWORKS)
    throw new StartError(`--trusted-proxy is given more than ${MAX_NETWORKS} times`)
  return texts.map((text) => {
    const [, address = '', bits] = /^([^/%]*)(?:\/(\d{1,3}))?$/.exec(text) ?? []
    const most = isIP(address) === 6 ? 128 : 32
    const prefix = bits === undefined ? most : Number(bits)
    if (isIP(address) === 0 || prefix > most)
      throw new StartError(`--trusted-proxy ${text}: must be an address, or a network like 10.0.0.0/8`)
    return { address, prefix }
  })
}

/**
 * The address that the nearest of trusted proxies tells, which is none of them: what stands before it in `X-Forwarded-For` anybody may have
 * written. `undefined`: the connection is the client's own, or what the proxy tells is no address, so that the proxy's own counts.
 */
export function createClientOf(
  trusted: readonly AddressRange[],
): (request: IncomingMessage) => string | undefined {
  const proxies = new BlockList()
  const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4')
  for (const { address, prefix } of trusted) proxies.addSubnet(address, prefix, familyOf(address))
  const isProxy = (address: string): boolean =>
    isIP(address) !== 0 && proxies.check(address, familyOf(address))
  return ({ socket, headers }) => {
    if (!isProxy(socket.remoteAddress ?? '')) return undefined
    const told = [headers['x-forwarded-for'] ?? []].flat().join(',').split(',')
    const hops = told.slice(-MAX_HOPS).map((hop) => hop.trim())
    const client = hops.findLast((hop) => !isProxy(hop))
    return client !== undefined && isIP(client) !== 0 && !client.includes('%') ? client : undefined
  }
}
