/** A client of the Client-Server API that costs little itself: one kept connection, bodies made once. */
import { Agent, request } from 'node:http'
import type { JsonObject } from '@plexus/core'

export interface HttpClient {
  /** @throws unless the answer is 200. */
  ask(method: string, path: string, body?: string): Promise<JsonObject>
  close(): void
}

/** `base` ends in a slash, as `http://127.0.0.1:8010/`. */
export function createHttpClient(base: string, token?: string): HttpClient {
  const { hostname, port } = new URL(base)
  // A second connection is for the long poll.
  const agent = new Agent({ keepAlive: true, maxSockets: 2 })
  const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` }
  return {
    ask: (method, path, body) =>
      new Promise((resolve, reject) => {
        const headers = {
          ...authorization,
          ...(body === undefined
            ? {}
            : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }),
        }
        const sent = request({ hostname, port, path: `/_matrix/client/${path}`, method, headers, agent })
        sent.once('error', reject)
        sent.once('response', (response) => {
          const parts: Buffer[] = []
          response.on('data', (part: Buffer) => parts.push(part))
          response.once('error', reject)
          response.once('end', () => {
            const text = Buffer.concat(parts).toString()
            if (response.statusCode === 200) resolve(JSON.parse(text) as JsonObject)
            else reject(new Error(`${method} ${path}: ${response.statusCode} ${text.slice(0, 200)}`))
          })
        })
        sent.end(body)
      }),
    close: () => agent.destroy(),
  }
}
