import { BlockList, isIP } from 'node:net'
import { RESERVED_IPV4 } from '@plexus/core/names'

/**
 * Within the only IPv6 network that is given out (2000::/3, RFC 4291), what is special: protocols and Teredo, ORCHID, documentation,
 * and 6to4, which leads to an IPv4 address of anybody's choice.
 */
const NOT_PUBLIC_V6: readonly (readonly [network: string, prefix: number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

const listOf = (
  networks: readonly (readonly [network: string, prefix: number])[],
  family: 'ipv4' | 'ipv6',
): BlockList => {
  const list = new BlockList()
  for (const [network, prefix] of networks) list.addSubnet(network, prefix, family)
  return list
}

const notPublicV4 = listOf(RESERVED_IPV4, 'ipv4')
const notPublicV6 = listOf(NOT_PUBLIC_V6, 'ipv6')
const givenOut = listOf([['2000::', 3]], 'ipv6')

/** Whether an IP address is of the public internet; `false` for all that is no address. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !notPublicV4.check(address, 'ipv4')
    case 6:
      return givenOut.check(address, 'ipv6') && !notPublicV6.check(address, 'ipv6')
    default:
      return false
  }
}
