import { RoomError } from '@plexus/engine'
import { CarrierError, FederationError, StoreError } from '@plexus/engine/ports'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_TOKEN_LENGTH } from './access-token.ts'
import { createClientApi } from './client-api.ts'
import { endpoint, jsonResponse } from './endpoint.ts'
import { MatrixError } from './matrix-error.ts'
import { ALICE, api, ask, echo, fakeEngine, faulty } from './testing/echo.ts'
import type { Logged } from './testing/echo.ts'

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

  it('answers at r0 what it answers at v3', async () => {
    const handler = (): { here: true } => ({ here: true })
    const path = '/_matrix/client/v3/thing'
    const client = createClientApi(fakeEngine(), {
      endpoints: [endpoint({ method: 'GET', path, auth: 'none', handler })],
    })
    for (const version of ['v3', 'r0'])
      expect((await ask(client, 'GET', `/_matrix/client/${version}/thing`)).body).toEqual({ here: true })
    expect((await ask(client, 'GET', '/_matrix/client/v1/thing')).status).toBe(404)
  })

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
