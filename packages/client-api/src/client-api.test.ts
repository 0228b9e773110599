import { parseUserId } from '@plexus/core'
import type { UserId } from '@plexus/core'
import { RoomError } from '@plexus/engine'
import type { Accounts, Users } from '@plexus/engine'
import type { Clock, Log } from '@plexus/engine/ports'
import { CarrierError, FederationError, StoreError } from '@plexus/engine/ports'
import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { MAX_JSON_BYTES, MAX_JSON_DEPTH, isDeeperThan } from './body.ts'
import { MAX_TOKEN_LENGTH, createClientApi } from './client-api.ts'
import type { ClientApi, ClientApiInit } from './client-api.ts'
import { endpoint, jsonResponse } from './endpoint.ts'
import type { Endpoint } from './endpoint.ts'
import { MatrixError } from './matrix-error.ts'
import { MAX_REPEATED, queryBoolean, queryInteger, queryList, roomId, shortText } from './schemas.ts'
import type { ApiEngine } from './services.ts'

const ALICE = parseUserId('@alice:example.org') as UserId

type Logged = { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }

function fakeEngine(
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
  const users: Partial<Users> = { accounts: accounts as Accounts }
  const parts: Partial<ApiEngine> = { clock, log, users: users as Users }
  return parts as ApiEngine
}

const echo: readonly Endpoint[] = [
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

function faulty(error: unknown): readonly Endpoint[] {
  return [
    endpoint({ method: 'GET', path: '/_matrix/none', auth: 'none', handler: () => Promise.reject(error) }),
  ]
}

function api(init: ClientApiInit = {}, engine: ApiEngine = fakeEngine()): ClientApi {
  return createClientApi(engine, { endpoints: echo, ...init })
}

async function ask(
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

describe('routing', () => {
  it('answers with the JSON of the handler', async () => {
    expect(await ask(api(), 'GET', '/_matrix/none')).toMatchObject({ status: 200, body: { hello: 'world' } })
  })

  it('refuses an unknown endpoint with 404 M_UNRECOGNIZED, before any token', async () => {
    const { status, body } = await ask(api(), 'GET', '/_matrix/nothing')
    expect([status, body['errcode']]).toEqual([404, 'M_UNRECOGNIZED'])
  })

  it('refuses a wrong method with 405 M_UNRECOGNIZED', async () => {
    const { status, body } = await ask(api(), 'DELETE', '/_matrix/none')
    expect([status, body['errcode']]).toEqual([405, 'M_UNRECOGNIZED'])
  })

  it('decodes parameters after splitting, so that an encoded slash stays inside one', async () => {
    const path = '/_matrix/rooms/!a%3Aexample.org/state/m%2Ftype/k%20%2F%C3%A9'
    const { body } = await ask(api(), 'PUT', path, { token: 'good', body: '{"name":"x"}' })
    expect(body).toEqual({ roomId: '!a:example.org', eventType: 'm/type', stateKey: 'k /é', name: 'x' })
  })

  it.each(['/_matrix/rooms/!a:example.org/state/m.type', '/_matrix/rooms/!a:example.org/state/m.type/'])(
    'takes an optional last segment: %s',
    async (path) => {
      const { body } = await ask(api(), 'PUT', path, { token: 'good', body: '{"name":"x"}' })
      expect(body).toMatchObject({ stateKey: '' })
    },
  )

  it('backtracks from a literal segment that leads nowhere', async () => {
    expect(await ask(api(), 'GET', '/_matrix/rooms/state/x')).toMatchObject({
      status: 200,
      body: { roomId: 'state', last: 'x' },
    })
  })

  it.each(['/_matrix/rooms/%zz/x', '/_matrix/rooms/%ff/x'])(
    'refuses broken percent-encoding: %s',
    async (path) => {
      const { status, body } = await ask(api(), 'GET', path)
      expect([status, body['errcode']]).toEqual([400, 'M_INVALID_PARAM'])
    },
  )

  it('does not look at paths of many segments', async () => {
    expect((await ask(api(), 'GET', `/_matrix${'/x'.repeat(10_000)}`)).status).toBe(404)
  })

  it('does not start with two endpoints for one path', () => {
    expect(() => createClientApi(fakeEngine(), { endpoints: [...echo, ...echo] })).toThrow('two endpoints')
  })
})

describe('CORS', () => {
  it.each(['/_matrix/none', '/_matrix/who', '/nowhere'])(
    'answers OPTIONS %s without doing anything',
    async (path) => {
      const { status, headers } = await ask(api(), 'OPTIONS', path)
      expect(status).toBe(204)
      expect(headers.get('access-control-allow-origin')).toBe('*')
      expect(headers.get('access-control-allow-methods')).toBe('GET, POST, PUT, DELETE, OPTIONS')
      expect(headers.get('access-control-allow-headers')).toBe(
        'X-Requested-With, Content-Type, Authorization',
      )
    },
  )

  it('stands on answers, own responses and errors', async () => {
    const own = [
      endpoint({
        method: 'GET',
        path: '/_matrix/own',
        auth: 'none',
        handler: () => jsonResponse(401, { flows: [] }),
      }),
    ]
    const answers = [
      await ask(api(), 'GET', '/_matrix/none'),
      await ask(api(), 'GET', '/nowhere'),
      await ask(api({ endpoints: own }), 'GET', '/_matrix/own'),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 404, 401])
    for (const { headers } of answers) expect(headers.get('access-control-allow-origin')).toBe('*')
  })
})

describe('access tokens', () => {
  it('are taken from the header, and from the query for old clients', async () => {
    const expected = { user_id: ALICE, device_id: 'D' }
    expect((await ask(api(), 'GET', '/_matrix/who', { token: 'good' })).body).toEqual(expected)
    expect((await ask(api(), 'GET', '/_matrix/who?access_token=good')).body).toEqual(expected)
  })

  it('are needed', async () => {
    const { status, body } = await ask(api(), 'GET', '/_matrix/who')
    expect([status, body['errcode']]).toEqual([401, 'M_MISSING_TOKEN'])
  })

  it.each([
    ['bad', false],
    ['old', true],
    ['x'.repeat(MAX_TOKEN_LENGTH + 1), false],
  ])('that are not valid are refused: %#', async (token, softLogout) => {
    const { status, body } = await ask(api(), 'GET', '/_matrix/who', { token })
    expect([status, body['errcode'], body['soft_logout']]).toEqual([401, 'M_UNKNOWN_TOKEN', softLogout])
  })

  it('may be missing where they are optional, but not wrong', async () => {
    expect((await ask(api(), 'GET', '/_matrix/maybe')).body).toEqual({ user_id: null })
    expect((await ask(api(), 'GET', '/_matrix/maybe', { token: 'good' })).body).toEqual({ user_id: ALICE })
    expect((await ask(api(), 'GET', '/_matrix/maybe', { token: 'bad' })).status).toBe(401)
  })
})

describe('bodies and queries', () => {
  const put = async (body: BodyInit): Promise<readonly unknown[]> => {
    const answer = await ask(api(), 'PUT', '/_matrix/rooms/!a:example.org/state/t/k', { token: 'good', body })
    return [answer.status, answer.body['errcode']]
  }

  it.each([
    ['{', 400, 'M_NOT_JSON'],
    ['nonsense', 400, 'M_NOT_JSON'],
    [new Uint8Array([0x7b, 0x22, 0x81, 0x22, 0x3a, 0x31, 0x7d]), 400, 'M_NOT_JSON'],
    ['[]', 400, 'M_BAD_JSON'],
    ['null', 400, 'M_BAD_JSON'],
    ['{"name":1}', 400, 'M_BAD_JSON'],
    ['{"name":"x","count":"1"}', 400, 'M_BAD_JSON'],
    ['{}', 400, 'M_MISSING_PARAM'],
    ['', 400, 'M_MISSING_PARAM'],
    ['{"name":"x","__proto__":{"count":"1"}}', 200, undefined],
    [`{"name":${'['.repeat(MAX_JSON_DEPTH + 1)}`, 400, 'M_BAD_JSON'],
    [`{"name":"${'x'.repeat(MAX_JSON_BYTES)}"}`, 413, 'M_TOO_LARGE'],
  ])('body %# is answered with status and errcode', async (body, status, errcode) => {
    expect(await put(body)).toEqual([status, errcode])
  })

  it('bounds bodies that do not say their length', async () => {
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(MAX_JSON_BYTES / 4)),
    })
    const init: RequestInit & { duplex: 'half' } = {
      method: 'PUT',
      headers: { Authorization: 'Bearer good' },
      body: stream,
      duplex: 'half',
    }
    const response = await api()(new Request('http://node/_matrix/rooms/!a:example.org/state/t/k', init))
    expect(response.status).toBe(413)
  })

  it('never repeats what the client sent', async () => {
    const { body } = await ask(api(), 'PUT', '/_matrix/rooms/!a:example.org/state/t/k', {
      token: 'good',
      body: '{"name":{"password":"hunter2"}}',
    })
    expect(JSON.stringify(body)).not.toContain('hunter2')
  })

  it('counts nesting outside strings only', () => {
    expect(isDeeperThan('[[[]]]', 3)).toBe(false)
    expect(isDeeperThan('[[[]]]', 2)).toBe(true)
    expect(isDeeperThan(JSON.stringify(['[[[[', '\\"[[[', '"']), 1)).toBe(false)
  })

  it('gives raw bytes to an endpoint that reads them itself, within its bound', async () => {
    expect((await ask(api(), 'POST', '/_matrix/bytes', { body: 'x'.repeat(10) })).body).toEqual({
      length: 10,
    })
    expect((await ask(api(), 'POST', '/_matrix/bytes', { body: 'x'.repeat(11) })).status).toBe(413)
  })

  it.each([
    ['', { limit: 10 }],
    ['?limit=500&full=true', { limit: 100, full: true }],
    ['?via=a', { limit: 10, via: ['a'] }],
    ['?via=a&via=b', { limit: 10, via: ['a', 'b'] }],
  ])('reads query %#', async (query, expected) => {
    expect((await ask(api(), 'GET', `/_matrix/query${query}`)).body).toEqual(expected)
  })

  it.each([
    '?limit=x',
    '?limit=-1',
    '?limit=1&limit=2',
    '?full=yes',
    `?${'via=a&'.repeat(MAX_REPEATED + 1)}`,
  ])('refuses query %#', async (query) => {
    const { status, body } = await ask(api(), 'GET', `/_matrix/query${query}`)
    expect([status, body['errcode']]).toEqual([400, 'M_INVALID_PARAM'])
  })
})

describe('errors', () => {
  it.each([
    [new MatrixError(418, 'ORG.X', 'tea', { kettle: true }), 418, 'ORG.X'],
    [new RoomError('M_FORBIDDEN', 'no'), 403, 'M_FORBIDDEN'],
    [new RoomError('M_NOT_FOUND', 'no'), 404, 'M_NOT_FOUND'],
    [new RoomError('M_TOO_LARGE', 'no'), 413, 'M_TOO_LARGE'],
    [new StoreError('full', 'disk /home is full'), 507, 'M_UNKNOWN'],
    [new StoreError('fenced', 'x'), 503, 'M_UNKNOWN'],
    [new StoreError('failed', 'x'), 500, 'M_UNKNOWN'],
    [new CarrierError('timeout', 'x'), 504, 'M_UNKNOWN'],
    [new FederationError({ status: 403, errcode: 'M_FORBIDDEN', error: 'no' }), 403, 'M_FORBIDDEN'],
    [new FederationError({ status: 401, errcode: 'M_UNKNOWN_TOKEN', error: 'no' }), 502, 'M_UNKNOWN'],
    [new FederationError({ status: 403, errcode: 'M_UNKNOWN_TOKEN', error: 'no' }), 502, 'M_UNKNOWN'],
    [new FederationError({ status: 404, errcode: 'a b', error: 'no' }), 502, 'M_UNKNOWN'],
    [new Error('secret detail'), 500, 'M_UNKNOWN'],
    ['thrown text', 500, 'M_UNKNOWN'],
  ])('%s becomes %i %s', async (error, status, errcode) => {
    const answer = await ask(api({ endpoints: faulty(error) }), 'GET', '/_matrix/none')
    expect([answer.status, answer.body['errcode']]).toEqual([status, errcode])
    expect(typeof answer.body['error']).toBe('string')
    expect(JSON.stringify(answer.body)).not.toMatch(/secret|home/)
  })

  it('logs faults with the template, and refusals not at all', async () => {
    const logged: Logged[] = []
    const engine = fakeEngine(logged)
    await ask(api({ endpoints: faulty(new MatrixError(400, 'M_X', 'x')) }, engine), 'GET', '/_matrix/none')
    expect(logged).toEqual([])
    await ask(
      api({ endpoints: faulty(new TypeError('broken')) }, engine),
      'GET',
      '/_matrix/none?access_token=t',
    )
    expect(logged).toEqual([
      {
        message: 'a client request failed',
        fields: { endpoint: '/_matrix/none', name: 'TypeError', fault: 'broken' },
      },
    ])
  })

  it('says when to try again', async () => {
    let now = 0
    const engine = fakeEngine([], { now: () => now, after: () => () => undefined })
    const limit = { burst: 2, perSecond: 0.5 }
    const serve = api({ rateLimits: { login: limit, message: limit, media: limit, lookup: limit } }, engine)
    const statuses = async (): Promise<number> => (await ask(serve, 'POST', '/_matrix/query')).status
    expect([await statuses(), await statuses(), await statuses()]).toEqual([200, 200, 429])
    const { body, headers } = await ask(serve, 'POST', '/_matrix/query')
    expect(body).toMatchObject({ errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: 2000 })
    expect(headers.get('retry-after')).toBe('2')
    now = 2000
    expect(await statuses()).toBe(200)
  })
})

describe('hostile requests', () => {
  const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'PROPFIND')
  const word = fc.oneof(
    fc.constantFrom(
      '_matrix',
      'rooms',
      'none',
      'query',
      'state',
      '!a:example.org',
      '%',
      '%00',
      '..',
      '%2e%2e',
      '',
    ),
    fc.string({ unit: 'binary', maxLength: 20 }),
  )
  const path = fc.oneof(
    fc.array(word, { maxLength: 8 }).map((words) => `/${words.join('/')}`),
    fc.constantFrom(
      '/_matrix/rooms/!a:example.org/state/t/k',
      '/_matrix/query?limit=1',
      '/_matrix/bytes',
      '/_matrix/who',
    ),
  )
  const body = fc.oneof(fc.json(), fc.string({ unit: 'binary' }), fc.uint8Array({ maxLength: 64 }))
  const token = fc.option(fc.constantFrom('good', 'bad'), { nil: undefined })

  it('get an answer with CORS that is never a fault of ours', async () => {
    const serve = api()
    await fc.assert(
      fc.asyncProperty(method, path, body, token, async (method, path, body, token) => {
        const headers = new Headers(token === undefined ? {} : { Authorization: `Bearer ${token}` })
        const withBody = method !== 'GET' && method !== 'HEAD'
        const url = URL.parse(path, 'http://node') ?? new URL('http://node')
        const request = new Request(url, { method, headers, ...(withBody ? { body: body as BodyInit } : {}) })
        const response = await serve(request)
        expect(response.status).toBeLessThan(500)
        expect(response.headers.get('access-control-allow-origin')).toBe('*')
        if (response.status < 400) return
        const answer = (await response.json()) as Record<string, unknown>
        expect(answer['errcode']).toMatch(/^M_[A-Z_]+$/)
        expect(typeof answer['error']).toBe('string')
      }),
      { numRuns: 500 },
    )
  })
})
