import { isIP } from 'node:net'

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

/** The WebSocket multiaddr, without peer id, of the server at a URL. @throws TypeError for another kind of URL */
export function websocketMultiaddr(publicUrl: string): string {
  const { protocol, hostname, port } = new URL(publicUrl)
  const defaultPort = DEFAULT_PORTS[protocol]
  if (defaultPort === undefined) throw new TypeError(`Not the URL of an HTTP server: ${publicUrl}`)
  const transport = protocol === 'https:' ? 'tls/ws' : 'ws'
  return `/${hostOf(hostname)}/tcp/${port === '' ? defaultPort : port}/${transport}`
}

function hostOf(hostname: string): string {
  const bare = hostname.replace(/^\[(.*)\]$/, '$1')
  switch (isIP(bare)) {
    case 4:
      return `ip4/${bare}`
    case 6:
      return `ip6/${bare}`
    default:
      return `dns/${bare}`
  }
}

/** The WebRTC-Direct addresses that lead to the host of a URL: all but loopback ones for a DNS name. */
export function webrtcMultiaddrs(publicUrl: string, listening: readonly string[]): string[] {
  const host = hostOf(new URL(publicUrl).hostname)
  const direct = listening.filter((address) => address.includes('/webrtc-direct/'))
  if (host.startsWith('dns/') && host !== 'dns/localhost')
    return direct.filter((address) => !address.startsWith('/ip4/127.') && !address.startsWith('/ip6/::1/'))
  return direct.filter((address) => address.startsWith(`/${host}/`))
}
