/** Finds the endpoint that a request names. */
import { ApiError } from './answer.ts'
import type { Endpoint } from './request.ts'

export type Route<Services> = {
  readonly endpoint: Endpoint<Services>
  readonly path: Readonly<Record<string, string>>
  readonly query: URLSearchParams
}

export interface Router<Services> {
  /** @throws ApiError M_UNRECOGNIZED: 404 for an unknown path, 405 for an unknown method of a known one. */
  route(method: string, uri: string): Route<Services>
}

export function createRouter<Services>(endpoints: readonly Endpoint<Services>[]): Router<Services> {
  const table = endpoints.map((endpoint) => ({ endpoint, pattern: endpoint.path.split('/') }))
  return {
    route(method, uri) {
      const mark = uri.indexOf('?')
      const segments = (mark === -1 ? uri : uri.slice(0, mark)).split('/')
      const query = new URLSearchParams(mark === -1 ? '' : uri.slice(mark + 1))
      let known = false
      for (const { endpoint, pattern } of table) {
        const found = match(pattern, segments)
        if (found === undefined) continue
        if (endpoint.method === method) return { endpoint, path: decode(found), query }
        known = true
      }
      const message = known ? 'the endpoint has no such method' : 'no such endpoint'
      throw new ApiError(known ? 405 : 404, 'M_UNRECOGNIZED', message)
    },
  }
}

/** The encoded segments that stand for names in braces; `undefined` when the path is another one. */
function match(pattern: readonly string[], segments: readonly string[]): [string, string][] | undefined {
  if (pattern.length !== segments.length) return undefined
  const found: [string, string][] = []
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? ''
    if (part.startsWith('{')) found.push([part.slice(1, -1), segment])
    else if (part !== segment) return undefined
  }
  return found
}

function decode(found: readonly [string, string][]): Readonly<Record<string, string>> {
  try {
    return Object.fromEntries(found.map(([name, segment]) => [name, decodeURIComponent(segment)]))
  } catch (cause) {
    if (!(cause instanceof URIError)) throw cause
    throw new ApiError(400, 'M_INVALID_PARAM', 'the path is not well encoded')
  }
}
