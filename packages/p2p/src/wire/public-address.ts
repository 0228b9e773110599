import { RESERVED_IPV4 } from '@plexus/core/names'

/** The part of a multiaddr that is looked at. */
export type HopsOfAddress = {
  getComponents(): readonly { readonly name: string; readonly value?: string }[]
}

/** Names that do not leave the machine or the local network. RFC 6761, RFC 6762 */
const LOCAL_DOMAINS = /(?:^|\.)(?:localhost|local|internal|home\.arpa|lan|onion|test)\.?$/

/**
 * True for an address whose first hop is certainly on the public Internet. Fails closed: what it does not know is
 * not public. A DNS name may still resolve to a private address.
 */
export function isPublicAddress(address: HopsOfAddress): boolean {
  const first = address.getComponents()[0]
  const value = first?.value
  if (first === undefined || value === undefined) return false
  switch (first.name) {
    case 'ip4':
      return isPublicIpv4(value)
    case 'ip6':
      return isPublicIpv6(value)
    case 'dns':
    case 'dns4':
    case 'dns6':
      return value.includes('.') && !LOCAL_DOMAINS.test(value.toLowerCase()) && !isIpv4(value)
    default:
      return false
  }
}

function isIpv4(text: string): boolean {
  return ipv4Number(text) !== undefined
}

function ipv4Number(text: string): number | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256))
    return undefined
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0)
}

function isPublicIpv4(text: string): boolean {
  const address = ipv4Number(text)
  if (address === undefined) return false
  return RESERVED_IPV4.every(([base, bits]) => {
    const size = 2 ** (32 - bits)
    return Math.floor(address / size) !== Math.floor((ipv4Number(base) ?? 0) / size)
  })
}

/** Global unicast only, without documentation addresses and those in which an IPv4 address hides. RFC 4291, RFC 6890 */
function isPublicIpv6(text: string): boolean {
  if (!URL.canParse(`http://[${text}]/`)) return false
  const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1)
  const groups = canonical.split(':')
  const first = Number.parseInt(groups[0] ?? '', 16)
  const second = groups[1] === '' || groups[1] === undefined ? 0 : Number.parseInt(groups[1], 16)
  if (!(first >= 0x2000 && first <= 0x3fff) || first === 0x2002) return false
  return !(first === 0x2001 && (second < 0x200 || second === 0xdb8)) && !(first === 0x3fff && second < 0x1000)
}
