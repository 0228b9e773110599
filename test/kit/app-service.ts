/** An application service: a little HTTP server on the loopback, its registration, and its requests to a node. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { JsonObject, JsonValue } from '@plexus/core'
import { stringify } from 'yaml'
import type { Reply } from './node-app.ts'

export type Asked = {
  readonly method: string
  /** With the query, percent-encoded as it came. */
  readonly path: string
  readonly authorization: string | undefined
  readonly text: string
  readonly body: JsonObject
}

/** `undefined`: it never answers, and lets go of the connection when it is closed. */
export type ServiceAnswer = { readonly status: number; readonly body: JsonValue } | undefined

export interface TestService extends AsyncDisposable {
  readonly url: string
  readonly asToken: string
  readonly hsToken: string
  /** Every request, in order. */
  readonly asked: readonly Asked[]
  /** The events of all transactions that it answered with 200, each once by transaction id. */
  events(): readonly JsonObject[]
  /** Likewise its ephemeral data. */
  ephemeral(): readonly JsonObject[]
  /** What it answers from here on. */
  answer: (asked: Asked) => ServiceAnswer | Promise<ServiceAnswer>
  /** Resolves with the first value that is found; looks at each request and answer. */
  when<T>(find: () => T | undefined): Promise<T>
  /** Writes its registration, with further keys in place of what it has. */
  register(folder: string, keys?: Readonly<Record<string, unknown>>): string
  /** Asks a node with its token. `query` holds whom it acts as. */
  ask(
    base: string,
    method: string,
    path: string,
    init?: { readonly query?: Readonly<Record<string, string>>; readonly body?: JsonObject },
  ): Promise<Reply>
}

export const OK: ServiceAnswer = { status: 200, body: {} }

export async function startTestService(id = 'bridge'): Promise<TestService> {
  const asked: Asked[] = []
  const taken = new Map<string, JsonObject>()
  const waiting = new Set<() => void>()
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const { method = '', url: path = '' } = request
    const one: Asked = {
      method,
      path,
      authorization: request.headers.authorization,
      text,
      body: text === '' ? {} : (JSON.parse(text) as JsonObject),
    }
    asked.push(one)
    for (const look of waiting) look()
    const answer = await service.answer(one)
    if (answer !== undefined) {
      response.writeHead(answer.status, { 'Content-Type': 'application/json' })
      response.end(JSON.stringify(answer.body))
      if (answer.status === 200 && path.includes('/transactions/') && !taken.has(path))
        taken.set(path, one.body)
    }
    for (const look of waiting) look()
  }
  const server = createServer(
    (request, response) => void serve(request, response).catch(() => response.destroy()),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const listOf = (key: string): readonly JsonObject[] =>
    [...taken.values()].flatMap((body) => (body[key] as readonly JsonObject[] | undefined) ?? [])
  const service: TestService = {
    url: `http://127.0.0.1:${port}`,
    asToken: `as-${id}`,
    hsToken: `hs-${id}`,
    asked,
    events: () => listOf('events'),
    ephemeral: () => listOf('ephemeral'),
    answer: () => OK,
    when: (find) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = find()
          if (found === undefined) return
          waiting.delete(look)
          resolve(found)
        }
        waiting.add(look)
        look()
      }),
    register(folder, keys = {}) {
      const file = join(folder, `${id}.yaml`)
      const registration = {
        id,
        url: service.url,
        as_token: service.asToken,
        hs_token: service.hsToken,
        sender_localpart: `_${id}_bot`,
        rate_limited: false,
        namespaces: {
          users: [{ exclusive: true, regex: `@_${id}_.*` }],
          aliases: [{ exclusive: true, regex: `#_${id}_.*` }],
          rooms: [],
        },
        ...keys,
      }
      writeFileSync(file, stringify(registration))
      return file
    },
    async ask(base, method, path, { query = {}, body } = {}) {
      const url = new URL(`_matrix/client/${path}`, base)
      for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
      const response = await fetch(url, {
        method,
        headers: { Authorization: `Bearer ${service.asToken}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      return { status: response.status, body: (await response.json()) as JsonObject }
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return service
}
