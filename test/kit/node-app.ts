/** The headless node in a process of its own, and people who use it over HTTP. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EventId, JsonObject, RoomId, UserId } from '@plexus/core'
import { startProgram, type Program } from './process.ts'

export interface NodeApp extends Program {
  readonly serverName: string
  /** Addresses with a trailing slash. */
  readonly clientApi: string
  readonly admin: string
}

/** Starts a node on any free ports and waits until it says where it is. */
export async function startNodeApp(
  data: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  fileBlocks?: number,
): Promise<NodeApp> {
  const program = await startProgram({
    app: 'node',
    args: ['--data', data, '--client-api', '127.0.0.1:0', '--admin', '127.0.0.1:0', ...args],
    env,
    fileBlocks,
    ready: /^health and metrics at (\S+)$/m,
  })
  const found = (pattern: RegExp): string => pattern.exec(program.output())?.[1] ?? ''
  return {
    ...program,
    serverName: found(/^Plexus node (\S+)$/m),
    clientApi: found(/^clients connect to (\S+)$/m),
    admin: program.said,
  }
}

export type Reply = { readonly status: number; readonly body: JsonObject }

/** Somebody with an account on a node. Requests go to where the node is at that time. */
export interface Person {
  readonly userId: UserId
  readonly accessToken: string
  ask(method: string, path: string, body?: JsonObject): Promise<Reply>
  /** As `ask`. @throws unless the status is 200. */
  ok(method: string, path: string, body?: JsonObject): Promise<JsonObject>
  /** PUT of a text message. */
  say(roomId: RoomId, transaction: string, text: string): Promise<EventId>
  /** The texts of the newest messages, oldest first. */
  texts(roomId: RoomId): Promise<readonly unknown[]>
}

export async function request(
  base: string,
  method: string,
  path: string,
  init: { readonly token?: string; readonly body?: JsonObject } = {},
): Promise<Reply> {
  const response = await fetch(new URL(`_matrix/client/${path}`, base), {
    method,
    headers: init.token === undefined ? {} : { Authorization: `Bearer ${init.token}` },
    ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
  })
  return { status: response.status, body: (await response.json()) as JsonObject }
}

/** Makes an account with the registration token in the data folder. `at` is asked for the node's address each time. */
export async function register(data: string, at: () => string, username: string): Promise<Person> {
  const token = readFileSync(join(data, 'registration-token'), 'utf8').trim()
  const auth = { type: 'm.login.registration_token', token }
  const { status, body } = await request(at(), 'POST', 'v3/register', {
    body: { username, password: 'correct horse battery', auth },
  })
  if (status !== 200) throw new Error(`registration failed: ${JSON.stringify(body)}`)
  const session = { userId: body['user_id'] as UserId, accessToken: body['access_token'] as string }
  const ask: Person['ask'] = (method, path, content) =>
    request(at(), method, path, {
      token: session.accessToken,
      ...(content === undefined ? {} : { body: content }),
    })
  const ok: Person['ok'] = async (method, path, content) => {
    const reply = await ask(method, path, content)
    if (reply.status !== 200) throw new Error(`${method} ${path}: ${JSON.stringify(reply)}`)
    return reply.body
  }
  return {
    ...session,
    ask,
    ok,
    async say(roomId, transaction, text) {
      const path = `v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${transaction}`
      return (await ok('PUT', path, { msgtype: 'm.text', body: text }))['event_id'] as EventId
    },
    async texts(roomId) {
      const path = `v3/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=1000`
      const { chunk } = (await ok('GET', path)) as { chunk?: readonly JsonObject[] }
      return (chunk ?? [])
        .filter(({ type }) => type === 'm.room.message')
        .map(({ content }) => (content as JsonObject)['body'])
        .toReversed()
    },
  }
}
