/** Receipts and typing notices in rooms of many servers: members pass on what its origin signed, once, and nothing else. */
import { encodeBase64 } from '@plexus/core'
import type { JsonObject, RoomId, ServerName } from '@plexus/core'
import { gossipBytes, gossipContent, MAX_GOSSIP_LENGTH, MAX_GOSSIP_MS, type Gossip } from '@plexus/core/names'
import type { EduHandler } from '@plexus/engine'
import {
  GOSSIP_WINDOW_MS,
  MAX_FALSE_GOSSIP,
  MAX_GOSSIP_OF_ORIGIN,
  MAX_PASSED_GOSSIP,
  RECEIPTS_MS,
} from '@plexus/engine/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { dnsSigner } from '../kit/key-documents.ts'
import { testSigner } from '../kit/keys.ts'
import { bringIn, createRoom } from './rooms-kit.ts'

const FAN_OUT = { direct: 3, directEdus: 3, forwards: 2 }
const NODES = 7
const OTHER = '!other:example.org' as RoomId

type Heard = { readonly by: ServerName; readonly origin: ServerName; readonly content: JsonObject }

describe('gossip', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let nodes: BareNode[]
  let alice: BareNode
  let bob: BareNode
  let carol: BareNode
  let roomId: RoomId
  let heard: Heard[]

  const add = (index: number): Promise<BareNode> => {
    const { name } = testSigner(index)
    const handler: EduHandler = async (origin, content) => {
      heard.push({ by: name, origin, content })
      return undefined
    }
    const handlers = new Map(['m.typing', 'm.receipt'].map((type) => [type, handler]))
    return network.add(`user${index}`, { seed: index, handlers, fanOut: FAN_OUT })
  }

  beforeEach(async () => {
    network = createBareNetwork()
    heard = []
    nodes = []
    for (let index = 1; index <= NODES; index += 1) nodes.push(await add(index))
    ;[alice, bob, carol] = nodes as [BareNode, BareNode, BareNode]
    roomId = await createRoom(alice, 'public')
    for (const node of nodes.slice(1)) {
      await node.rooms.join(node.user, roomId, { via: [alice.name] })
      await network.pass(60_000)
    }
    for (const { calls } of nodes) calls.length = 0
  })

  const typing = (of: BareNode, more: JsonObject = {}): JsonObject => ({
    room_id: roomId,
    user_id: of.user,
    typing: true,
    ...more,
  })
  const say = (node: BareNode, content: JsonObject, type = 'm.typing', key?: string): void =>
    node.outbox.outbox.sendToRoom(
      roomId,
      nodes.map(({ name }) => name),
      { edu_type: type, content },
      key,
    )
  const signed = async (by: BareNode, more: Partial<Gossip> = {}): Promise<JsonObject> => {
    const expires = network.clock.now() + MAX_GOSSIP_MS
    const gossip = { origin: by.name, roomId, expires, type: 'm.typing', content: typing(by), ...more }
    return gossipContent({ gossip, signature: encodeBase64(await by.signer.sign(gossipBytes(gossip))) })
  }
  const bring = async (from: ServerName, ...contents: JsonObject[]): Promise<void> => {
    const edus = contents.map((content) => ({ edu_type: 'plexus.gossip', content }))
    await carol.inbound.transaction({ origin: from, pdus: [], edus })
  }
  const sends = (): number =>
    nodes.flatMap(({ calls }) => calls).filter((call) => call.startsWith('send ')).length
  const atCarol = (): readonly JsonObject[] =>
    heard.flatMap(({ by, content }) => (by === carol.name ? [content] : []))

  it('brings a typing notice to the others, of whom its server tells a few', async () => {
    for (let count = 1; count <= 3; count += 1) say(alice, typing(alice, { count }))
    await network.pass(400)
    expect(alice.calls.length).toBeLessThanOrEqual(5)
    await network.pass(5_000)
    const texts = heard.map(({ by, content }) => JSON.stringify([by, content['count']]))
    expect(new Set(texts).size).toBe(texts.length)
    expect(texts.length).toBeGreaterThan((NODES - 1) * 2)
    expect(heard.every(({ by, origin }) => origin === alice.name && by !== alice.name)).toBe(true)
  })

  it('tells the newest receipt of a user, after a while', async () => {
    const content = (event: string): JsonObject => ({
      [roomId]: { 'm.read': { [alice.user]: { event_ids: [event], data: {} } } },
    })
    for (const event of ['$one', '$two', '$three']) say(alice, content(event), 'm.receipt', 'receipt')
    await network.pass(RECEIPTS_MS - 1_000)
    expect(heard).toEqual([])
    await network.pass(5_000)
    expect(heard.length).toBeGreaterThan(1)
    for (const { content: seen } of heard) expect(seen).toEqual(content('$three'))
  })

  it('is taken and passed on once', async () => {
    const content = await signed(alice)
    await bring(bob.name, content, content)
    await bring(alice.name, content)
    // The last digit of base64 has four bits that mean nothing.
    const { signature } = content
    const text = typeof signature === 'string' ? signature : ''
    for (const digit of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
      await bring(bob.name, { ...content, signature: `${text.slice(0, -1)}${digit}` })
    expect(atCarol()).toEqual([typing(alice)])
    await network.pass(5_000)
    expect(atCarol()).toHaveLength(1)
    expect(sends()).toBeLessThanOrEqual(NODES * 5)
  })

  it('is nothing unless its origin signed it for this room, not long ago', async () => {
    const good = await signed(alice)
    const now = network.clock.now()
    const stranger = { ...alice, signer: testSigner(99), name: testSigner(99).name }
    const dns = dnsSigner('stock.example', 98)
    const wrong: JsonObject[] = [
      { ...good, signature: (await signed(bob))['signature'] ?? '' },
      { ...good, signature: 'A'.repeat(86) },
      { ...good, signature: 7 },
      { ...good, expires: now + 1 },
      { ...good, content: typing(bob) },
      { ...good, room_id: OTHER },
      { ...good, content: { ...typing(alice), level: 0.5 } },
      await signed(stranger),
      await signed({ ...alice, signer: dns, name: dns.name }),
      await signed(alice, { expires: now - 600_000 }),
      await signed(alice, { expires: now + 600_000 }),
      await signed(alice, { type: 'm.presence' }),
      await signed(alice, { type: 'plexus.gossip' }),
      await signed(alice, { content: typing(alice, { room_id: OTHER }) }),
      await signed(alice, { roomId: OTHER, content: typing(alice, { room_id: OTHER }) }),
      await signed(alice, { content: typing(alice, { long: 'x'.repeat(MAX_GOSSIP_LENGTH) }) }),
      await signed(alice, { type: 'm.receipt', content: { [OTHER]: {} } }),
      await signed(carol),
    ]
    for (const content of wrong) await bring(bob.name, content)
    await bring(stranger.name, good)
    expect(heard).toEqual([])
    await network.pass(1_000)
    expect(sends()).toBe(0)
    await bring(bob.name, good)
    expect(atCarol()).toHaveLength(1)
  })

  it('says nothing of other rooms', async () => {
    const own = { 'm.read': {} }
    await bring(
      bob.name,
      await signed(alice, { type: 'm.receipt', content: { [OTHER]: own, [roomId]: own } }),
    )
    expect(atCarol()).toEqual([{ [roomId]: own }])
  })

  it('is of no server that the ACL denies, and goes to none', async () => {
    const acl = { type: 'm.room.server_acl', stateKey: '', sender: alice.user }
    await alice.rooms.send(roomId, { ...acl, content: { allow: ['*'], deny: [bob.name] } })
    await network.pass(60_000)
    await bring(alice.name, await signed(bob))
    await bring(bob.name, await signed(alice))
    expect(atCarol()).toEqual([])
    const before = nodes.map(({ calls }) => calls.length)
    for (let count = 1; count <= 10; count += 1) {
      say(alice, typing(alice, { count }))
      await network.pass(1_000)
    }
    const calls = nodes.flatMap((node, index) => node.calls.slice(before[index]))
    expect(calls.filter((call) => call === `send ${carol.name}`).length).toBeGreaterThan(0)
    expect(calls.filter((call) => call === `send ${bob.name}`)).toEqual([])
  })

  it('does not show as typing who has stopped', async () => {
    const start = await signed(alice)
    const stop = await signed(alice, {
      expires: network.clock.now() + MAX_GOSSIP_MS,
      content: typing(alice, { typing: false }),
    })
    await bring(bob.name, stop, start)
    expect(atCarol().map((content) => content['typing'])).toEqual([false])
  })

  it('is bounded for each origin, for each server that brings what is nothing, and in what is passed on', async () => {
    const many = async (by: BareNode, count: number): Promise<readonly JsonObject[]> => {
      const contents: JsonObject[] = []
      for (let index = 0; index < count; index += 1)
        contents.push(await signed(by, { content: typing(by, { index }) }))
      return contents
    }
    await network.pass(GOSSIP_WINDOW_MS)
    await bring(bob.name, ...(await many(alice, MAX_GOSSIP_OF_ORIGIN + 5)))
    expect(atCarol()).toHaveLength(MAX_GOSSIP_OF_ORIGIN)

    const forged = (await many(bob, MAX_FALSE_GOSSIP + 1)).map((content) => ({
      ...content,
      origin: alice.name,
    }))
    await network.pass(GOSSIP_WINDOW_MS)
    heard.length = 0
    await bring(bob.name, ...forged)
    await bring(bob.name, await signed(alice))
    expect(atCarol()).toEqual([])
    await bring(alice.name, await signed(alice))
    expect(atCarol()).toHaveLength(1)
    await network.pass(GOSSIP_WINDOW_MS)
    await bring(bob.name, await signed(alice))
    expect(atCarol()).toHaveLength(2)

    await network.pass(GOSSIP_WINDOW_MS)
    const passed = new Set<string>()
    for (const node of nodes.filter(({ name }) => name !== carol.name))
      network.cheats.set(node.name, {
        sendTransaction: async (_, { edus }) => {
          for (const { content } of edus) passed.add(JSON.stringify(content))
          return { pdus: {} }
        },
      })
    for (let index = 0; index < MAX_PASSED_GOSSIP + 10; index += 1) {
      say(carol, typing(carol, { index }))
      if (index % 10 === 9) await network.pass(300)
    }
    expect(passed.size).toBeLessThanOrEqual(MAX_PASSED_GOSSIP)
    expect(passed.size).toBeGreaterThan(MAX_PASSED_GOSSIP / 2)

    // What others say keeps nothing of its own from being said, nor the other way round.
    passed.clear()
    await bring(bob.name, await signed(alice))
    await network.pass(300)
    expect([...passed].map((text) => (JSON.parse(text) as JsonObject)['origin'])).toEqual([alice.name])
  })
})

it('leaves stock servers what their neighbours tell them themselves', async () => {
  const network = createBareNetwork()
  const nodes: BareNode[] = []
  for (let index = 1; index <= 5; index += 1) {
    const key = testSigner(index)
    const signer = { ...key, name: `${key.name}.example.org` as ServerName }
    nodes.push(await network.add(`user${index}`, { signer, fanOut: FAN_OUT }))
  }
  const seen: string[] = []
  const handler: EduHandler = async (origin) => {
    seen.push(origin)
    return undefined
  }
  const signer = dnsSigner('stock.example', 6)
  nodes.push(await network.add('stock', { signer, handlers: new Map([['m.typing', handler]]) }))
  const [alice] = nodes as [BareNode]
  const roomId = await createRoom(alice)
  for (const node of nodes.slice(1)) await bringIn(network, alice, node, roomId)
  await network.pass(60_000)
  const content = { room_id: roomId, user_id: alice.user, typing: true }
  alice.outbox.outbox.sendToRoom(
    roomId,
    nodes.map(({ name }) => name),
    { edu_type: 'm.typing', content },
  )
  await network.pass(5_000)
  expect(seen).toEqual([alice.name])
})
