/** `fetch` for the Client-Server API: the request goes to the node in the worker, never to the network. */
import type { NodeApi, WireRequest } from '../bridge/api.ts'
import type { Bridge } from '../bridge/bridge.ts'

/** The base of all addresses; `.invalid` is never resolved. RFC 2606 */
export const NODE_URL = 'https://node.invalid'

const BODYLESS = new Set([101, 204, 205, 304])

export function createNodeFetch(node: Bridge<NodeApi>): typeof fetch {
  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input)
    if (url.origin !== NODE_URL) throw new TypeError(`the node does not fetch ${url.origin}`)
    const request: WireRequest = {
      method: init.method ?? 'GET',
      path: url.pathname + url.search,
      headers: [...new Headers(init.headers)],
      body: await bodyOf(init.body),
    }
    const { status, headers, body } = await node.call(
      'fetch',
      request,
      init.signal === null || init.signal === undefined ? {} : { signal: init.signal },
    )
    const bytes = BODYLESS.has(status) ? null : new Uint8Array(body)
    return new Response(bytes, {
      status,
      headers: headers.map(([name, value]): [string, string] => [name, value]),
    })
  }
}

async function bodyOf(body: BodyInit | null | undefined): Promise<Uint8Array | string | undefined> {
  if (body === null || body === undefined) return undefined
  if (typeof body === 'string' || body instanceof Uint8Array) return body
  return new Uint8Array(await new Response(body).arrayBuffer())
}
