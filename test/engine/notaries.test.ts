/** Keys that a server tells of another one, and what this node tells of itself and others. */
import { encodeBase64, type JsonObject, type ServerName } from '@plexus/core'
import type { Signer } from '@plexus/engine/ports'
import { beforeEach, describe, expect, it } from 'vitest'
import { dnsSigner, keyDocument, signJson } from '../kit/key-documents.ts'
import { testSigner } from '../kit/keys.ts'
import {
  createKeysWorld,
  keysKit,
  DAY,
  notary,
  own,
  rotated,
  stock,
  type KeysWorld,
} from './server-keys-kit.ts'

let world: KeysWorld
beforeEach(async () => {
  world = await createKeysWorld()
})
const { wants, one, publish, soon } = keysKit(() => world)

describe('notaries', () => {
  beforeEach(async () => {
    await world.open([notary.name])
    world.published.set(notary.name, await keyDocument([notary], soon()))
  })

  it('tell the keys of servers that do not answer', async () => {
    world.notarised = async () => [await signJson(await keyDocument([stock], soon()), notary)]
    expect(await one(wants(stock))).toEqual(stock.publicKey)
    expect(world.calls).toEqual([
      'server example.org',
      'notary notary.example example.org',
      'server notary.example',
    ])
  })

  it('are not believed what the server did not sign', async () => {
    const liar = await keyDocument([dnsSigner('example.org', 66)], soon())
    const { signatures: _, ...unsigned } = liar
    world.notarised = async () => [await signJson(unsigned, notary)]
    expect(await one(wants(stock))).toBe('unknown')
  })

  it('are not believed what they did not sign', async () => {
    world.notarised = async () => [await keyDocument([stock], soon())]
    expect(await one(wants(stock))).toBe('unknown')
  })

  it('are not asked about themselves', async () => {
    world.published.delete(notary.name)
    expect(await one(wants(notary))).toBe('unknown')
    expect(world.calls).toEqual(['server notary.example'])
  })

  it('do not say for good that a key is none', async () => {
    world.notarised = async () => [await signJson(await keyDocument([stock], soon()), notary)]
    expect(await one(wants(rotated))).toBe('unknown')
  })
})

describe('this node', () => {
  it('signs again after that failed', async () => {
    let fails = true
    const failing: Signer = {
      ...stock,
      sign: async (bytes) => {
        if (fails) throw new Error('the key cannot be read now')
        return stock.sign(bytes)
      },
    }
    const other = dnsSigner('other.example', 6)
    world.published.set(other.name, await keyDocument([other], soon()))
    await world.open([], failing)
    const notarised = (): Promise<readonly JsonObject[]> => world.keys.notarised(new Map([[other.name, 0]]))
    await expect(world.keys.own()).rejects.toThrow()
    await expect(notarised()).rejects.toThrow()
    fails = false
    expect(await world.keys.own()).toHaveProperty(['signatures', stock.name])
    expect(await notarised()).toMatchObject([{ signatures: { [stock.name]: {} } }])
  })

  it('publishes its own keys, signed, and anew before they run out', async () => {
    await world.open([], stock)
    const first = await world.keys.own()
    expect(await world.keys.own()).toBe(first)
    expect(first).toMatchObject({
      server_name: 'example.org',
      verify_keys: { [stock.keyId]: { key: encodeBase64(stock.publicKey) } },
      valid_until_ts: world.clock.now() + DAY,
    })
    await world.clock.advance(13 * 3_600_000)
    expect(await world.keys.own()).toMatchObject({ valid_until_ts: world.clock.now() + DAY })
    // Another node believes it.
    world.published.set(stock.name, await world.keys.own())
    await world.open([], testSigner(8))
    expect(await one(wants(stock))).toEqual(stock.publicKey)
  })

  const asked = (server: ServerName = stock.name): Promise<readonly JsonObject[]> =>
    world.keys.notarised(new Map([[server, world.clock.now()]]))
  const signersOf = (documents: readonly JsonObject[]): unknown =>
    documents.map(({ signatures }) => Object.keys(signatures as JsonObject))

  it('signs what it knows of others as a notary, which another node believes', async () => {
    await publish([stock], soon())
    await world.open([], notary)
    const documents = await asked()
    expect(signersOf(documents)).toEqual([[stock.name, notary.name]])
    world.published.clear()
    world.published.set(notary.name, await world.keys.own())
    world.notarised = async () => documents
    const other = await createKeysWorld()
    other.notarised = async () => documents
    for (const [name, json] of world.published) other.published.set(name, json)
    world = other
    await other.open([notary.name])
    expect(await one(wants(stock))).toEqual(stock.publicKey)
  })

  it('goes on telling the last document of a server that does not answer, and asks again at half of its time', async () => {
    await publish([stock], soon())
    await asked()
    await asked()
    expect(world.calls).toHaveLength(1)
    world.published.clear()
    await world.clock.advance(DAY / 2)
    expect(signersOf(await asked())).toEqual([[stock.name, own.name]])
    expect(world.calls).toHaveLength(2)
  })

  it('tells its own document, and none of a key name or of nobody', async () => {
    expect(await asked(own.name)).toEqual([await world.keys.own()])
    expect(await asked(testSigner(9).name)).toEqual([])
    expect(await asked('nobody.example' as ServerName)).toEqual([])
  })

  it('signs no document that could be something else as well', async () => {
    await publish([stock], soon(), { method: 'PUT', uri: '/x', origin: own.name, destination: 'x.example' })
    expect(await asked()).toEqual([])
    expect(await one(wants(stock))).toEqual(stock.publicKey)
  })

  it('signs a document once, however often it is asked for, and a newer one anew', async () => {
    let signed = 0
    const sign: Signer['sign'] = (bytes) => {
      signed += 1
      return notary.sign(bytes)
    }
    await publish([stock], soon())
    await world.open([], { ...notary, sign })
    const first = await asked()
    expect([await asked(), signed]).toEqual([first, 1])
    await world.clock.advance(DAY)
    await publish([stock], soon())
    expect(await asked()).not.toEqual(first)
    expect(signed).toBe(2)
  })

  it('asks few servers at a time on behalf of strangers', async () => {
    const { promise, resolve } = Promise.withResolvers<JsonObject>()
    const servers = Array.from({ length: 50 }, (_, index) => `s${index}.example` as ServerName)
    for (const server of servers) world.published.set(server, () => promise)
    const answering = world.keys.notarised(new Map(servers.map((server) => [server, 0])))
    const more = world.keys.notarised(new Map([['t.example' as ServerName, 0]]))
    await world.clock.settled()
    expect(world.calls).toHaveLength(8)
    resolve({})
    expect([await answering, await more]).toEqual([[], []])
    expect(world.calls).toHaveLength(8)
  })
})
