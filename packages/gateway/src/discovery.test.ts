import type { ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { createServerResolver, KEPT_MS, MAX_TARGETS, type Target } from './discovery.ts'
import { createResolveMap } from './resolve-map.ts'
import { inOrder } from './srv.ts'

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
