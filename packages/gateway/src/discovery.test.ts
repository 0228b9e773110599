import type { ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { createServerResolver, KEPT_MS, MAX_LOOKUPS, MAX_TARGETS, type Target } from './discovery.ts'
import { createResolveMap } from './resolve-map.ts'
import { createLookupSrv, inOrder } from './srv.ts'

type World = {
  /** By host name. */
  readonly wellKnown?: Readonly<Record<string, string>>
  /** By name of the service. */
  readonly srv?: Readonly<Record<string, readonly (readonly [string, number])[]>>
  readonly map?: string
}

function resolverIn({ wellKnown = {}, srv = {}, map }: World, clock = { now: () => 0 }) {
  const asked: string[] = []
  const resolver = createServerResolver({
    clock: { ...clock, after: () => () => undefined },
    wellKnown: {
      async delegate(hostname) {
        asked.push(`well-known ${hostname}`)
        return wellKnown[hostname] as ServerName | undefined
      },
    },
    async lookupSrv(name) {
      asked.push(`srv ${name}`)
      return (srv[name] ?? []).map(([host, port]) => ({ name: host, port }))
    },
    ...(map === undefined ? {} : { map: createResolveMap({ text: map }) }),
  })
  return { asked, resolve: (name: string) => resolver.resolve(name as ServerName) }
}

const target = (host: string, port: number, hostHeader: string, certificateName: string): Target => ({
  host,
  port,
  hostHeader,
  certificateName,
})

describe('resolving server names', () => {
  const srv = { '_matrix-fed._tcp.d.example': [['s.example', 7]] as const }
  // spec: server-server-api.md "Resolving server names", by number
  it.each<[string, string, World, Target]>([
    ['1', '192.0.2.1', {}, target('192.0.2.1', 8448, '192.0.2.1', '192.0.2.1')],
    ['1 with port', '192.0.2.1:99', {}, target('192.0.2.1', 99, '192.0.2.1:99', '192.0.2.1')],
    ['1 for IPv6', '[2001:db8::1]:99', {}, target('2001:db8::1', 99, '[2001:db8::1]:99', '2001:db8::1')],
    ['2', 'a.example:99', {}, target('a.example', 99, 'a.example:99', 'a.example')],
    [
      '3.1',
      'a.example',
      { wellKnown: { 'a.example': '192.0.2.1' } },
      target('192.0.2.1', 8448, '192.0.2.1', '192.0.2.1'),
    ],
    [
      '3.2',
      'a.example',
      { wellKnown: { 'a.example': 'd.example:99' } },
      target('d.example', 99, 'd.example:99', 'd.example'),
    ],
    [
      '3.3',
      'a.example',
      { wellKnown: { 'a.example': 'd.example' }, srv },
      target('s.example', 7, 'd.example', 'd.example'),
    ],
    [
      '3.4',
      'a.example',
      { wellKnown: { 'a.example': 'd.example' }, srv: { '_matrix._tcp.d.example': [['o.example', 8]] } },
      target('o.example', 8, 'd.example', 'd.example'),
    ],
    [
      '3.5',
      'a.example',
      { wellKnown: { 'a.example': 'd.example' } },
      target('d.example', 8448, 'd.example', 'd.example'),
    ],
    ['4', 'd.example', { srv }, target('s.example', 7, 'd.example', 'd.example')],
    [
      '5',
      'd.example',
      { srv: { '_matrix._tcp.d.example': [['o.example', 8]] } },
      target('o.example', 8, 'd.example', 'd.example'),
    ],
    ['6', 'd.example', {}, target('d.example', 8448, 'd.example', 'd.example')],
    [
      '6, where SRV says that there is no such service',
      'd.example',
      { srv: { '_matrix-fed._tcp.d.example': [['.', 0]] } },
      target('d.example', 8448, 'd.example', 'd.example'),
    ],
  ])('step %s of %s', async (_, name, world, expected) => {
    expect(await resolverIn(world).resolve(name)).toEqual([expected])
  })

  it('asks nobody about literals and names with a port', async () => {
    const { asked, resolve } = resolverIn({})
    await resolve('192.0.2.1')
    await resolve('a.example:1')
    expect(asked).toEqual([])
  })

  it('prefers the newer service name, and takes so many records', async () => {
    const records = Array.from({ length: 9 }, (_, n) => [`s${n}.example`, n] as const)
    const { asked, resolve } = resolverIn({ srv: { '_matrix-fed._tcp.a.example': records } })
    expect((await resolve('a.example')).map(({ port }) => port)).toEqual([0, 1, 2, 3].slice(0, MAX_TARGETS))
    expect(asked).toEqual(['well-known a.example', 'srv _matrix-fed._tcp.a.example'])
  })

  it('keeps what it found for a while', async () => {
    let now = 0
    const { asked, resolve } = resolverIn({}, { now: () => now })
    await resolve('a.example')
    const first = asked.length
    now = KEPT_MS - 1
    await resolve('a.example')
    expect(asked).toHaveLength(first)
    now = KEPT_MS
    await resolve('a.example')
    expect(asked).toHaveLength(2 * first)
    // The clock is set back.
    now = 0
    await resolve('a.example')
    expect(asked).toHaveLength(3 * first)
  })

  /** DNS answers once it is told to. */
  function slowly() {
    const { promise: gate, resolve: answer, reject } = Promise.withResolvers<void>()
    const asked: string[] = []
    const resolver = createServerResolver({
      clock: { now: () => 0, after: () => () => undefined },
      wellKnown: { delegate: async () => undefined },
      async lookupSrv(name) {
        asked.push(name)
        await gate
        return [{ name: 's.example', port: 7 }]
      },
    })
    const resolve = (name: string, signal?: AbortSignal) =>
      resolver.resolve(name as ServerName, signal === undefined ? {} : { signal })
    return { asked, resolve, answer, fail: () => reject(new Error('SERVFAIL')) }
  }

  it('looks a name up once for all who wait, of whom some no longer do', async () => {
    const { asked, resolve, answer } = slowly()
    const patience = new AbortController()
    const [leaving, waiting] = [resolve('a.example', patience.signal), resolve('a.example')]
    patience.abort(new Error('enough'))
    await expect(leaving).rejects.toThrow('enough')
    await expect(resolve('a.example', patience.signal)).rejects.toThrow('enough')
    answer()
    expect(await waiting).toEqual([target('s.example', 7, 'a.example', 'a.example')])
    expect(asked).toHaveLength(1)
  })

  it('looks up so many names at once', async () => {
    const { resolve, answer } = slowly()
    const found = Array.from({ length: MAX_LOOKUPS }, (_, n) => resolve(`${n}.example`))
    await expect(resolve('a.example')).rejects.toThrow()
    answer()
    await Promise.all(found)
    expect(await resolve('a.example')).toHaveLength(1)
  })

  it('looks for no server elsewhere because DNS does not answer', async () => {
    const { resolve, fail } = slowly()
    fail()
    await expect(resolve('a.example')).rejects.toThrow('SERVFAIL')
  })

  it('goes on with what it knew while DNS does not answer', async () => {
    let now = 0
    let isAway = false
    const resolver = createServerResolver({
      clock: { now: () => now, after: () => () => undefined },
      wellKnown: { delegate: async () => undefined },
      async lookupSrv() {
        if (isAway) throw new Error('SERVFAIL')
        return [{ name: 's.example', port: 7 }]
      },
    })
    const found = await resolver.resolve('a.example' as ServerName)
    isAway = true
    now = KEPT_MS
    expect(await resolver.resolve('a.example' as ServerName)).toEqual(found)
  })

  it('asks nobody where the operator named the place', async () => {
    const { asked, resolve } = resolverIn({ map: 'hs1=127.0.0.1:4001, hs2:80=[::1]:4002' })
    const configured = { isConfigured: true }
    expect(await resolve('hs1')).toEqual([{ ...target('127.0.0.1', 4001, 'hs1', 'hs1'), ...configured }])
    expect(await resolve('hs2:80')).toEqual([{ ...target('::1', 4002, 'hs2:80', 'hs2'), ...configured }])
    expect(asked).toEqual([])
  })
})

describe('SRV records', () => {
  const record = (name: string, priority: number, weight: number) => ({ name, port: 1, priority, weight })

  it.each([
    ['ENOTFOUND', true],
    ['ENODATA', true],
    ['ENOTIMP', true],
    ['ESERVFAIL', false],
    ['ETIMEOUT', false],
    ['ECONNREFUSED', false],
  ])('that are not told with %s are none: %s', async (code, areNone) => {
    const asking = createLookupSrv(() => Promise.reject(Object.assign(new Error(code), { code })))(
      'a.example',
    )
    if (areNone) expect(await asking).toEqual([])
    else await expect(asking).rejects.toThrow(code)
  })

  it('are tried by priority, then by weight', () => {
    const records = [record('last', 9, 9), record('heavy', 1, 90), record('light', 1, 10)]
    let heavyFirst = 0
    for (let round = 0; round < 1_000; round += 1) {
      const [first, , last] = inOrder(records, Math.random).map(({ name }) => name)
      expect(last).toBe('last')
      if (first === 'heavy') heavyFirst += 1
    }
    expect(heavyFirst).toBeGreaterThan(800)
    expect(heavyFirst).toBeLessThan(980)
  })
})
