import { isIPv6 } from 'node:net'

const bracketed = (host: string): string => (isIPv6(host) ? `[${host}]` : host)

/** Addresses that mean "all of this machine". */
export const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::'

export const isLoopback = (host: string): boolean => /^127\.\d+\.\d+\.\d+$/.test(host) || host === '::1'

/** Where a person on this machine opens the app; always with a trailing slash. */
export function addressToOpen(init: {
  readonly host: string
  readonly port: number
  readonly secure: boolean
  readonly publicUrl: URL | undefined
}): string {
  if (init.publicUrl !== undefined) return init.publicUrl.href
  const host = isWildcard(init.host) ? '127.0.0.1' : init.host
  return new URL(`${init.secure ? 'https' : 'http'}://${bracketed(host)}:${init.port}/`).href
}
