import { describe, expect, it } from 'vitest'
import { MAX_JSON_BYTES, MAX_JSON_DEPTH, isDeeperThan } from './body.ts'
import { MAX_REPEATED } from './schemas.ts'
import { api, ask } from './testing/echo.ts'

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
