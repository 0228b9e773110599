import type { ServerName } from '@plexus/core'
import { generateTransportKey, peerIdOfKey, type KnownPeer } from '@plexus/p2p'
import { afterEach, describe, expect, it } from 'vitest'
import {
  certify,
  eventually,
  introduce,
  jsonOf,
  newAccount,
  signedRequest,
  startNode,
  startRelayHere,
  temporaryFolder,
  type TestNode,
  type TestNodeInit,
} from '../kit/p2p.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean()
})

async function node(init: TestNodeInit = {}): Promise<TestNode> {
  const started = await startNode(init)
  cleanups.push(async () => started.node[Symbol.asyncDispose]())
  return started
}

const TCP = { platform: { listen: ['/ip4/127.0.0.1/tcp/0'] } }
const WS = { platform: { listen: ['/ip4/127.0.0.1/tcp/0/ws'] } }
const names = ({ node }: TestNode): ServerName[] => node.status.peers.map(({ name }) => name)
const send = (from: TestNode, to: TestNode, content = {}, timeoutMs = 10_000) =>
  from.node.carrier.send(signedRequest(from.account, to.account.name, content), { timeoutMs })

describe('two nodes that can dial each other', { timeout: 60_000 }, () => {
  it.each([
    ['TCP', TCP],
    ['WebSocket', WS],
  ])('exchange requests both ways over %s, without any relay', async (_what, listen) => {
    const [a, b] = [await node(), await node(listen)]
    await introduce(a, b)
    expect(jsonOf(await send(a, b, { n: 1 }))).toEqual({ by: b.account.name, got: { n: 1 } })
    expect(jsonOf(await send(b, a, { n: 2 }))).toEqual({ by: a.account.name, got: { n: 2 } })
    expect(a.node.status).toMatchObject({ state: 'noRelay', peers: [{ path: 'direct', streams: 1 }] })
  })

  it('answer 64 requests at once, and hundreds in turn', async () => {
    const [a, b] = [await node(), await node(TCP)]
    await introduce(a, b)
    const answers = await Promise.all(Array.from({ length: 300 }, (_, n) => send(a, b, { n })))
    expect(answers.map((answer) => (jsonOf(answer) as { got: unknown }).got)).toEqual(
      Array.from({ length: 300 }, (_, n) => ({ n })),
    )
  })

  it('move large bodies', async () => {
    const [a, b] = [await node(), await node(TCP)]
    await introduce(a, b)
    const picture = Uint8Array.from({ length: 20_000_000 }, (_, index) => (index * 7) % 251)
    b.node.onRequest(() => Promise.resolve({ status: 200, contentType: 'image/png', body: picture }))
    const got = await send(a, b, { pdus: Array.from({ length: 50 }, () => 'x'.repeat(65_000)) }, 30_000)
    expect(Buffer.compare(got.body, picture)).toBe(0)
  })

  it('settle on one stream when both dial at once', async () => {
    const [a, b] = [await node(TCP), await node(TCP)]
    await Promise.all([introduce(a, b), introduce(b, a)])
    const sends = Array.from({ length: 20 }, (_, n) => [send(a, b, { n }), send(b, a, { n })])
    expect((await Promise.all(sends.flat())).every(({ status }) => status === 200)).toBe(true)
    const settled = ({ node }: TestNode): boolean => node.status.peers[0]?.streams === 1
    await eventually(() => settled(a) && settled(b), 'one stream each')
    expect((await send(a, b)).status).toBe(200)
  })

  it('are brought together again after one was away', async () => {
    const account = newAccount()
    const platform = { listen: ['/ip4/127.0.0.1/tcp/0'] }
    const a = await node()
    const first = await startNode({ account, platform })
    await introduce(a, first)
    a.node.want([account.name])
    await eventually(() => names(a).length === 1, 'they meet')
    await first.node[Symbol.asyncDispose]()
    await eventually(() => a.node.status.state === 'offline', 'alone')
    await expect(send(a, first, {}, 2_000)).rejects.toMatchObject({ code: 'unreachable' })
    const second = await node({ account, platform })
    await introduce(a, second)
    await eventually(() => names(a).length === 1, 'they meet again')
    expect(a.events.filter(({ kind }) => kind === 'appeared')).toHaveLength(2)
  })

  it('know each other after a restart from what was saved', async () => {
    const kept: KnownPeer[] = []
    const memory = {
      load: () => Promise.resolve([...kept]),
      save(peers: readonly KnownPeer[]) {
        kept.splice(0, kept.length, ...peers)
        return Promise.resolve()
      },
    }
    const b = await node(TCP)
    const account = newAccount()
    const first = await startNode({ account, memory })
    await introduce(first, b)
    await send(first, b)
    await first.node[Symbol.asyncDispose]()
    expect(kept).toMatchObject([{ name: b.account.name, peerIds: [b.node.peerId] }])
    const second = await node({ account, memory })
    expect((await send(second, b)).status).toBe(200)
  })
})

describe('a peer that is not who it says', { timeout: 60_000 }, () => {
  it('with a certificate of another key is not talked to', async () => {
    const a = await node()
    const b = await node({
      ...TCP,
      certify: (own, peerId) => certify(newAccount(), peerId, { name: own.name }),
    })
    await introduce(a, b)
    await expect(send(a, b, {}, 3_000)).rejects.toMatchObject({ code: 'unreachable' })
    await eventually(() => a.log.lines.some((line) => line.includes('bad signature')), 'the reason is logged')
    expect(names(a)).toEqual([])
  })

  it('with a name of its own is not taken for the name that a link gave', async () => {
    const a = await node()
    const b = await node(TCP)
    const meant = newAccount()
    await a.node.directory.learn({ name: meant.name, multiaddrs: await b.node.directory.own() })
    const request = signedRequest(a.account, meant.name)
    await expect(a.node.carrier.send(request, { timeoutMs: 3_000 })).rejects.toMatchObject({
      code: 'unreachable',
    })
    expect(names(a)).toEqual([b.account.name])
  })

  it('cannot send in the name of another', async () => {
    const [a, b] = [await node(), await node(TCP)]
    await introduce(a, b)
    const request = signedRequest(newAccount(), b.account.name)
    await expect(a.node.carrier.send(request, { timeoutMs: 10_000 })).rejects.toMatchObject({
      code: 'refused',
    })
  })
})

describe('addresses of others', { timeout: 60_000 }, () => {
  it('that are private are not dialled outside a local network', async () => {
    const a = await node({ lan: false })
    const b = await node(TCP)
    await introduce(a, b)
    const before = performance.now()
    await expect(send(a, b, {}, 20_000)).rejects.toMatchObject({ code: 'unreachable' })
    // At once, not when the time is over.
    expect(performance.now() - before).toBeLessThan(10_000)
    expect(names(b)).toEqual([])
  })
})

describe('where a node itself is', { timeout: 30_000 }, () => {
  it('is told to who shares a room with it, and to no stranger', async () => {
    const folder = await temporaryFolder()
    cleanups.push(() => folder.remove())
    const relay = await startRelayHere(folder.path)
    cleanups.push(() => relay.stop())
    const relays = relay.addresses.slice(0, 1)
    const [a, b] = [await node({ relays }), await node({ relays, ...TCP })]
    await eventually(() => b.node.status.relays[0]?.state === 'connected', 'at the relay')
    await send(a, b, {})
    const toldOf = ({ account }: TestNode): readonly string[] =>
      a.saved.find(({ name }) => name === account.name)?.multiaddrs ?? []
    const isDirect = (address: string): boolean => !address.includes('/p2p-circuit')
    await eventually(() => toldOf(b).length > 0, 'it is remembered')
    expect(toldOf(b).filter(isDirect)).toEqual([])
    b.node.want([a.account.name])
    await eventually(() => toldOf(b).some(isDirect), 'it has been told')
  })

  it('is seen by no stranger who tells an address to dial', async () => {
    const folder = await temporaryFolder()
    cleanups.push(() => folder.remove())
    const relay = await startRelayHere(folder.path)
    cleanups.push(() => relay.stop())
    const relays = relay.addresses.slice(0, 1)
    const keys = await Promise.all([generateTransportKey(), generateTransportKey()])
    // The lower peer id is the one that would dial at once.
    const [low, high] = keys.toSorted((one, other) => (peerIdOfKey(one) < peerIdOfKey(other) ? -1 : 1))
    const away = { relays, platform: { webrtc: false } }
    const a = await node({ ...away, ...(low && { transportKey: low }) })
    const platform = { webrtc: false, ...TCP.platform }
    const stranger = await node({ relays, platform, ...(high && { transportKey: high }) })
    await eventually(() => a.node.status.relays[0]?.state === 'connected', 'at the relay')
    stranger.node.want([a.account.name])
    await send(stranger, a)
    const told = (): readonly string[] =>
      a.saved.find(({ name }) => name === stranger.account.name)?.multiaddrs ?? []
    await eventually(() => told().some((address) => !address.includes('/p2p-circuit')), 'it told one')
    for (let n = 0; n < 100; n += 1) await send(stranger, a, { n })
    expect(a.node.status.peers).toMatchObject([{ path: 'relayed' }])
    a.node.want([stranger.account.name])
    await eventually(() => a.node.status.peers[0]?.path === 'direct', 'a friend is dialled')
  })
})

describe('a pair that meets over a relay and can dial', { timeout: 60_000 }, () => {
  it('becomes direct under load without losing a request', async () => {
    const folder = await temporaryFolder()
    cleanups.push(() => folder.remove())
    const relay = await startRelayHere(folder.path)
    cleanups.push(() => relay.stop())
    const relays = relay.addresses.slice(0, 1)
    const [a, b] = [await node({ relays }), await node({ relays, ...TCP })]
    await eventually(() => b.node.status.relays[0]?.state === 'connected', 'at the relay')
    const paths = new Set<string>()
    let statuses = Number((await send(a, b, { n: 0 })).status === 200)
    for (const { path } of a.node.status.peers) paths.add(path)
    a.node.want([b.account.name])
    b.node.want([a.account.name])
    for (let n = 1; !(paths.has('direct') && statuses > 100); n += 1) {
      statuses += Number((await send(a, b, { n })).status === 200)
      for (const { path } of a.node.status.peers) paths.add(path)
      expect(statuses).toBe(n + 1)
    }
    expect([...paths].sort()).toEqual(['direct', 'relayed'])
    await eventually(() => a.node.status.peers[0]?.streams === 1, 'one stream')
    expect(a.node.status.state).toBe('online')
  })
})
