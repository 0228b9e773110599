import { describe, expect, it } from 'vitest'
import {
  createWellKnown,
  DEFAULT_LIFETIME_MS,
  FIRST_ERROR_LIFETIME_MS,
  MAX_ERROR_LIFETIME_MS,
  MAX_KEPT_NAMES,
  MAX_LIFETIME_MS,
  MIN_LIFETIME_MS,
  type HttpsGet,
} from './well-known.ts'

type Answer = Awaited<ReturnType<HttpsGet>>
const answer = (body: string, headers: Record<string, string> = {}, status = 200): Answer => ({
  status,
  headers,
  bytes: new TextEncoder().encode(body),
})
const GOOD = '{"m.server":"d.example:443"}'

function world(reply: () => Answer) {
  const clock = { time: 1_000_000, now: () => clock.time, after: () => () => undefined }
  const asked: string[] = []
  const wellKnown = createWellKnown(clock, async (url) => {
    asked.push(url)
    return reply()
  })
  return { clock, asked, delegate: (name = 'a.example') => wellKnown.delegate(name) }
}

describe('delegation by well-known', () => {
  it('says where the server is', async () => {
    const { asked, delegate } = world(() => answer(GOOD))
    expect(await delegate()).toBe('d.example:443')
    expect(asked).toEqual(['https://a.example/.well-known/matrix/server'])
  })

  it.each<[string, () => Answer]>([
    ['another status', () => answer(GOOD, {}, 404)],
    ['no JSON', () => answer('<html>')],
    ['no object', () => answer('[]')],
    ['no m.server', () => answer('{}')],
    ['an m.server that is no text', () => answer('{"m.server":1}')],
    ['an m.server that is no server name', () => answer('{"m.server":"a b"}')],
    ['no UTF-8', () => ({ status: 200, headers: {}, bytes: Uint8Array.of(0xff) })],
    [
      'no answer',
      () => {
        throw new Error('unreachable')
      },
    ],
  ])('does not count with %s', async (_, reply) => {
    expect(await world(reply).delegate()).toBeUndefined()
  })

  it.each<[string, Record<string, string>, number]>([
    ['nothing', {}, DEFAULT_LIFETIME_MS],
    ['max-age', { 'cache-control': 'public, max-age=7200' }, 7_200_000],
    ['a max-age too long', { 'cache-control': 'max-age=99999999' }, MAX_LIFETIME_MS],
    ['a max-age too short', { 'cache-control': 'max-age=1' }, MIN_LIFETIME_MS],
    ['no-store', { 'cache-control': 'no-store, max-age=7200' }, MIN_LIFETIME_MS],
    ['expires', { expires: new Date(1_000_000 + 7_200_000).toUTCString() }, 7_200_000],
  ])('is kept as long as its headers say: %s', async (_, headers, lifetime) => {
    const { clock, asked, delegate } = world(() => answer(GOOD, headers))
    await delegate()
    clock.time += lifetime - 1_001
    await delegate()
    expect(asked).toHaveLength(1)
    clock.time += 1_001
    await delegate()
    expect(asked).toHaveLength(2)
    // The clock is set back.
    clock.time -= lifetime
    await delegate()
    expect(asked).toHaveLength(3)
  })

  it('asks again after an error, later each time', async () => {
    const { clock, asked, delegate } = world(() => answer('', {}, 500))
    for (let errors = 1; errors <= 10; errors += 1) {
      await delegate()
      expect(asked).toHaveLength(errors)
      clock.time += Math.min(FIRST_ERROR_LIFETIME_MS * 2 ** (errors - 1), MAX_ERROR_LIFETIME_MS) - 1
      await delegate()
      expect(asked).toHaveLength(errors)
      clock.time += 1
    }
  })

  it('asks once for all who want to know at one time', async () => {
    const { asked, delegate } = world(() => answer(GOOD))
    expect(await Promise.all([delegate(), delegate(), delegate()])).toEqual(Array(3).fill('d.example:443'))
    expect(asked).toHaveLength(1)
  })

  it('keeps so many names', async () => {
    const { asked, delegate } = world(() => answer(GOOD))
    for (let n = 0; n <= MAX_KEPT_NAMES; n += 1) await delegate(`a${n}.example`)
    await delegate(`a${MAX_KEPT_NAMES}.example`)
    expect(asked).toHaveLength(MAX_KEPT_NAMES + 1)
    await delegate('a0.example')
    expect(asked).toHaveLength(MAX_KEPT_NAMES + 2)
  })
})
