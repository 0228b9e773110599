import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import Negotiator from 'negotiator'
import { cacheControl, policyFor, SECURITY_HEADERS } from './headers.ts'
import { type Asset, type Encoding, ENCODINGS } from './snapshot.ts'

/** What a tab reads at its start: where to meet others. */
export type NetworkConfig = {
  /** Multiaddrs of relays, the peer id included. */
  readonly relays: readonly string[]
  readonly iceServers: readonly { readonly urls: string }[]
}

export type SiteInit = {
  /** The built web app, by path. */
  readonly assets: ReadonlyMap<string, Asset>
  /** Storage in a browser is per origin, so one machine's page has one name: `localhost` is sent to `127.0.0.1`. */
  readonly redirectLocalhost: boolean
  /** For a tab that reached the relay at this URL; `undefined` while the relay starts. */
  readonly network: (reachedAt: string) => NetworkConfig | undefined
}

const LOCALHOST = /^localhost(:\d{1,5})?$/i

function send(response: ServerResponse, status: number, type: string, body: string | Uint8Array): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) })
  // Node sends no body in answer to HEAD.
  response.end(body)
}

const sendLine = (response: ServerResponse, status: number, line: string): void =>
  send(response, status, 'text/plain; charset=utf-8', `${line}\n`)

/** What the client calls us, since only it knows: an address, a name, a forwarded port. It gets its own words back. */
function reachedAt({ headers, socket }: IncomingMessage): string {
  const scheme = 'encrypted' in socket ? 'https' : 'http'
  const url = URL.parse(`${scheme}://${headers.host ?? ''}`)
  if (url !== null && `${url.origin}/` === url.href) return url.href
  const address = (socket.localAddress ?? '').replace(/^::ffff:/, '')
  return new URL(`${scheme}://${address.includes(':') ? `[${address}]` : address}:${socket.localPort ?? 0}`)
    .href
}

function sendNetwork(response: ServerResponse, config: NetworkConfig | undefined): void {
  response.setHeader('Cache-Control', 'no-store')
  // Public, and an app that another host serves may ask for it.
  response.setHeader('Access-Control-Allow-Origin', '*')
  if (config === undefined) {
    response.setHeader('Retry-After', '1')
    return sendLine(response, 503, 'the relay is starting')
  }
  return send(response, 200, 'application/json', JSON.stringify(config))
}

function encodingFor(request: IncomingMessage, asset: Asset): Encoding {
  const accepted = new Negotiator(request).encodings([...ENCODINGS])
  return ENCODINGS.find((kind) => asset.bodies.has(kind) && accepted.includes(kind)) ?? 'identity'
}

function sendAsset(request: IncomingMessage, response: ServerResponse, pathname: string, asset: Asset): void {
  response.setHeader('Cache-Control', cacheControl(pathname))
  response.setHeader('ETag', asset.etag)
  response.setHeader('Vary', 'Accept-Encoding')
  const known = request.headers['if-none-match']?.split(',').map((tag) => tag.trim()) ?? []
  if (known.includes(asset.etag)) {
    response.writeHead(304).end()
    return
  }
  const encoding = encodingFor(request, asset)
  if (encoding !== 'identity') response.setHeader('Content-Encoding', encoding)
  send(response, 200, asset.type, asset.bodies.get(encoding) ?? new Uint8Array())
}

/** Serves the web app, `/plexus.json` and `/healthz`. Answers every request, also a malformed one. */
export function createSite({ assets, network, redirectLocalhost }: SiteInit): RequestListener {
  return (request, response) => {
    const url = request.url ?? ''
    const [path = '/'] = url.split('?', 1)
    for (const [name, value] of Object.entries({ ...SECURITY_HEADERS, ...policyFor(path) }))
      response.setHeader(name, value)
    if (!url.startsWith('/')) return sendLine(response, 400, 'the request target must be a path')
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD')
      return sendLine(response, 405, 'only GET and HEAD')
    }
    const local = redirectLocalhost ? LOCALHOST.exec(request.headers.host ?? '') : null
    if (local !== null) {
      response.setHeader('Location', `http://127.0.0.1${local[1] ?? ''}${url}`)
      return sendLine(response, 307, 'this page lives at 127.0.0.1')
    }
    if (path === '/healthz') return sendLine(response, 200, 'ok')
    if (path === '/plexus.json') return sendNetwork(response, network(reachedAt(request)))
    const pathname = path === '/' ? '/index.html' : path
    const asset = assets.get(pathname)
    return asset === undefined
      ? sendLine(response, 404, 'not found')
      : sendAsset(request, response, pathname, asset)
  }
}
