/** A small API on an engine that knows one token: what the tests of the framework ask. */
import { parseUserId } from '@plexus/core'
import type { UserId } from '@plexus/core'
import type { Moderation, Accounts, Users } from '@plexus/engine'
import type { Clock, Log } from '@plexus/engine/ports'
import * as v from 'valibot'
import { createClientApi } from '../client-api.ts'
import type { ClientApi, ClientApiInit } from '../client-api.ts'
import { endpoint } from '../endpoint.ts'
import type { Endpoint } from '../endpoint.ts'
import { queryBoolean, queryInteger, queryList, roomId, shortText } from '../schemas.ts'
import type { ApiEngine } from '../services.ts'

export const ALICE: UserId = parseUserId('@alice:example.org') as UserId

export type Logged = { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }

export function fakeEngine(
  logged: Logged[] = [],
  clock: Clock = { now: () => 0, after: () => () => undefined },
): ApiEngine {
  const log: Log = { log: (_level, message, fields = {}) => void logged.push({ message, fields }) }
  const authenticate: Accounts['authenticate'] = (token) =>
    Promise.resolve(
      token === 'good'
        ? { kind: 'requester', requester: { userId: ALICE, deviceId: 'D' } }
        : { kind: 'unknown', softLogout: token === 'old' },
    )
  const accounts: Partial<Accounts> = { authenticate }
  const moderation: Partial<Moderation> = { restrictionsOf: () => Promise.resolve({}) }
  const users: Partial<Users> = {
    accounts: accounts as Accounts,
    moderation: moderation as Moderation,
  }
  const appServices: Partial<ApiEngine['appServices']> = { byToken: () => undefined }
  const parts: Partial<ApiEngine> = {
    clock,
    log,
    users: users as Users,
    appServices: appServices as ApiEngine['appServices'],
  }
  return parts as ApiEngine
}

export const echo: readonly Endpoint[] = [
  endpoint({ method: 'GET', path: '/_matrix/none', auth: 'none', handler: () => ({ hello: 'world' }) }),
  endpoint({
    method: 'GET',
    path: '/_matrix/who',
    auth: 'user',
    handler: ({ requester }) => ({ user_id: requester.userId, device_id: requester.deviceId }),
  }),
  endpoint({
    method: 'GET',
    path: '/_matrix/maybe',
    auth: 'optional',
    handler: ({ requester }) => ({ user_id: requester?.userId ?? null }),
  }),
  endpoint({
    method: 'PUT',
    path: '/_matrix/rooms/{roomId}/state/{eventType}/{stateKey}',
    aliases: ['/_matrix/rooms/{roomId}/state/{eventType}'],
    auth: 'user',
    pathSchema: v.object({ roomId, eventType: shortText, stateKey: v.optional(v.string(), '') }),
    bodySchema: v.object({ name: v.string(), count: v.optional(v.number()) }),
    handler: ({ path, body }) => ({ ...path, name: body.name }),
  }),
  endpoint({
    method: 'GET',
    path: '/_matrix/query',
    auth: 'none',
    querySchema: v.object({
      limit: v.optional(queryInteger(0, 100), '10'),
      full: v.optional(queryBoolean),
      via: v.optional(queryList(v.string())),
    }),
    handler: ({ query }) => ({ limit: query.limit, full: query.full, via: query.via }),
  }),
  endpoint({
    method: 'POST',
    path: '/_matrix/query',
    auth: 'none',
    rateLimit: 'message',
    handler: () => ({}),
  }),
  endpoint({
    method: 'POST',
    path: '/_matrix/bytes',
    auth: 'none',
    handler: async ({ readBytes }) => ({ length: (await readBytes(10)).length }),
  }),
  endpoint({
    method: 'GET',
    path: '/_matrix/rooms/{roomId}/{last}',
    auth: 'none',
    pathSchema: v.object({ roomId: v.string(), last: v.string() }),
    handler: ({ path }) => path,
  }),
]

export function faulty(error: unknown): readonly Endpoint[] {
  return [
    endpoint({ method: 'GET', path: '/_matrix/none', auth: 'none', handler: () => Promise.reject(error) }),
  ]
}

export function api(init: ClientApiInit = {}, engine: ApiEngine = fakeEngine()): ClientApi {
  return createClientApi(engine, { endpoints: echo, ...init })
}

export async function ask(
  serve: ClientApi,
  method: string,
  path: string,
  init: { body?: BodyInit; token?: string } = {},
): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }> {
  const headers = new Headers(init.token === undefined ? {} : { Authorization: `Bearer ${init.token}` })
  const request = new Request(`http://node${path}`, {
    method,
    headers,
    ...(init.body === undefined ? {} : { body: init.body }),
  })
  const response = await serve(request)
  const text = await response.text()
  return {
    status: response.status,
    body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
    headers: response.headers,
  }
}
