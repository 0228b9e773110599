import type { ServerName } from '@plexus/core'
import { generateTransportKey } from '@plexus/p2p'
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
  type TestRelay,
} from '../kit/p2p.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean()
})

async function relayIn(folder: string, port = 0, circuitBytes?: bigint): Promise<TestRelay> {
  const relay = await startRelayHere(folder, port, circuitBytes === undefined ? {} : { circuitBytes })
  cleanups.push(() => relay.stop())
  return relay
}

async function newRelay(circuitBytes?: bigint): Promise<TestRelay & { readonly folder: string }> {
  const folder = await temporaryFolder()
  cleanups.push(() => folder.remove())
  return Object.assign(await relayIn(folder.path, 0, circuitBytes), { folder: folder.path })
}

async function node(relay: TestRelay, init: TestNodeInit = {}): Promise<TestNode> {
  const started = await startNode({ relays: relay.addresses.slice(0, 1), ...init })
  cleanups.push(async () => started.node[Symbol.asyncDispose]())
  return started
}

const connected = ({ node }: TestNode): boolean =>
  node.status.relays.every(({ state }) => state === 'connected')
const names = ({ node }: TestNode): ServerName[] => node.status.peers.map(({ name }) => name)

describe('two nodes that a relay connects', { timeout: 60_000 }, () => {
  it('exchange requests both ways over a circuit', async () => {
    const relay = await newRelay()
    const [a, b] = [await node(relay), await node(relay)]
    await eventually(() => connected(a) && connected(b), 'both at the relay')
    const toB = await a.node.carrier.send(signedRequest(a.account, b.account.name, { n: 1 }), {
      timeoutMs: 10_000,
    })
    expect(jsonOf(toB)).toEqual({ by: b.account.name, got: { n: 1 } })
    const toA = await b.node.carrier.send(signedRequest(b.account, a.account.name, { n: 2 }), {
      timeoutMs: 10_000,
    })
    expect(jsonOf(toA)).toEqual({ by: a.account.name, got: { n: 2 } })
    expect(a.node.status.state).toBe('relayed')
    expect(a.node.status.peers).toMatchObject([{ name: b.account.name, path: 'relayed' }])
    expect(relay.relay.stats()).toMatchObject({ names: 2, reservations: 2, circuitsAsked: 1 })
  })

  it('tells addresses for links that lead to the node through its relay', async () => {
    const relay = await newRelay()
    const a = await node(relay)
    await eventually(() => connected(a), 'at the relay')
    expect(await a.node.directory.own()).toEqual([`${relay.addresses[0]}/p2p-circuit/p2p/${a.node.peerId}`])
  })

  it('takes two addresses of a relay for one relay, and the one that leads there', async () => {
    const relay = await newRelay()
    const [address = ''] = relay.addresses
    const dead = `/ip4/127.0.0.1/tcp/9/ws/p2p/${relay.relay.peerId}`
    const a = await node(relay, { relays: [dead, address] })
    await eventually(() => connected(a), 'at the relay')
    expect(a.node.status.relays).toMatchObject([{ address, reserved: true }])
    expect(await a.node.directory.own()).toEqual([`${address}/p2p-circuit/p2p/${a.node.peerId}`])
  })

  it('reaches by a link a node whose relay is not its own', async () => {
    const [one, two] = [await newRelay(), await newRelay()]
    const [a, b] = [await node(one), await node(two)]
    await eventually(() => connected(a) && connected(b), 'each at its relay')
    const request = signedRequest(b.account, a.account.name)
    await expect(b.node.carrier.send(request, { timeoutMs: 5_000 })).rejects.toMatchObject({
      code: 'unreachable',
    })
    await introduce(b, a)
    expect((await b.node.carrier.send(request, { timeoutMs: 10_000 })).status).toBe(200)
    expect(b.node.status.relays).toHaveLength(1)
  })

  it('moves more than the bound of one circuit by making another', async () => {
    const relay = await newRelay(400_000n)
    const [a, b] = [await node(relay), await node(relay)]
    await eventually(() => connected(a) && connected(b), 'both at the relay')
    const content = { text: 'x'.repeat(60_000) }
    let answered = 0
    for (let tries = 0; answered < 20 && tries < 60; tries += 1) {
      const request = signedRequest(a.account, b.account.name, content)
      answered += await a.node.carrier.send(request, { timeoutMs: 5_000 }).then(
        () => 1,
        () => 0,
      )
    }
    expect(answered).toBe(20)
    expect(relay.relay.stats().circuitsAsked).toBeGreaterThan(2)
  })
})

describe('the relay directory', { timeout: 60_000 }, () => {
  it('tells a waiting node at once when a wanted name appears', async () => {
    const relay = await newRelay()
    const a = await node(relay)
    const account = newAccount()
    a.node.want([account.name])
    await eventually(() => relay.relay.stats().watched === 1, 'the name is watched')
    const b = await node(relay, { account })
    const before = performance.now()
    const appeared = (): boolean =>
      a.events.some((event) => event.kind === 'appeared' && event.name === account.name)
    await eventually(appeared, 'appeared')
    expect(performance.now() - before).toBeLessThan(5_000)
    await eventually(() => names(b).includes(a.account.name), 'both know it')
  })

  it('refuses a certificate for another peer id, and tells nobody of it', async () => {
    const relay = await newRelay()
    const a = await node(relay)
    const other = certify(newAccount(), a.node.peerId).certificate.peerId
    const wrong = await node(relay, { certify: (account) => certify(account, other) })
    await eventually(() => wrong.log.lines.some((line) => line.includes('relay refusal 2')), 'refused')
    await eventually(() => connected(a), 'the other is there')
    expect(relay.relay.stats().names).toBe(1)
    const request = signedRequest(a.account, wrong.account.name)
    await expect(a.node.carrier.send(request, { timeoutMs: 2_000 })).rejects.toMatchObject({
      code: 'unreachable',
    })
  })

  it('has everyone back after a restart on the same port, and they meet again', async () => {
    const relay = await newRelay()
    const [a, b] = [await node(relay), await node(relay)]
    a.node.want([b.account.name])
    b.node.want([a.account.name])
    await eventually(() => names(a).length === 1 && names(b).length === 1, 'they meet')
    const port = Number(new URL(relay.url).port)
    await relay.stop()
    await eventually(
      () => a.node.status.state === 'offline' && b.node.status.state === 'offline',
      'both alone',
    )
    const again = await relayIn(relay.folder, port)
    expect(again.addresses[0]).toBe(relay.addresses[0])
    await eventually(() => names(a).length === 1 && names(b).length === 1, 'they meet again', 40_000)
    const answer = await a.node.carrier.send(signedRequest(a.account, b.account.name), { timeoutMs: 20_000 })
    expect(answer.status).toBe(200)
    expect(a.node.status.relays).toMatchObject([{ reserved: true }])
  })

  it('finds a node that restarted with its key', async () => {
    const relay = await newRelay()
    const account = newAccount()
    const transportKey = await generateTransportKey()
    const a = await node(relay)
    const first = await startNode({ relays: relay.addresses.slice(0, 1), account, transportKey })
    a.node.want([account.name])
    await eventually(() => names(a).length === 1, 'they meet')
    await first.node[Symbol.asyncDispose]()
    await eventually(() => names(a).length === 0, 'it left')
    const second = await node(relay, { account, transportKey })
    await eventually(() => names(a).length === 1, 'they meet again')
    expect(
      (await second.node.carrier.send(signedRequest(account, a.account.name), { timeoutMs: 20_000 })).status,
    ).toBe(200)
  })
})

describe('dialling at once', { timeout: 60_000 }, () => {
  it.each([1, 2, 3])('settles on one stream and loses no request (%i)', async () => {
    const relay = await newRelay()
    const [a, b] = [await node(relay), await node(relay)]
    await eventually(() => connected(a) && connected(b), 'both at the relay')
    const options = { timeoutMs: 10_000 }
    const sends = Array.from({ length: 20 }, (_, n) => [
      a.node.carrier.send(signedRequest(a.account, b.account.name, { n }), options),
      b.node.carrier.send(signedRequest(b.account, a.account.name, { n }), options),
    ])
    const answers = await Promise.all(sends.flat())
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    const settled = ({ node }: TestNode): boolean => node.status.peers[0]?.streams === 1
    await eventually(() => settled(a) && settled(b), 'one stream each')
    expect((await a.node.carrier.send(signedRequest(a.account, b.account.name), options)).status).toBe(200)
    expect(settled(a) && settled(b)).toBe(true)
  })
})
