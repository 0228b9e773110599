/** Keys of servers whose name is no key: what of a document is believed, for how long, and what fetching it may cost. */
import { webcrypto } from 'node:crypto'
import type { JsonObject, KeyId, ServerName } from '@plexus/core'
import { encodeBase64 } from '@plexus/core'
import type { KeyAnswer, WantedKey } from '@plexus/engine'
import { CarrierError, type Federation, type Signer } from '@plexus/engine/ports'
import {
  createCommitter,
  createServerKeys,
  createVerifier,
  MAX_KEY_FETCHES_FOR_ONE,
  type ServerKeysOwner,
} from '@plexus/engine/testing'
import { createMemoryDisk, openMemoryStore, type MemoryDisk } from '@plexus/store/memory'
import { beforeEach, describe, expect, it } from 'vitest'
import { dnsSigner, keyDocument, signJson } from '../kit/key-documents.ts'
import { testSigner } from '../kit/keys.ts'
import { createVirtualClock, type VirtualClock } from '../kit/virtual-clock.ts'

const DAY = 86_400_000
const own = testSigner(1)
const stock = dnsSigner('example.org', 2)
const rotated = dnsSigner('example.org', 3, 'ed25519:a_2')
const notary = dnsSigner('notary.example', 4, 'ed25519:n')

type World = {
  readonly clock: VirtualClock
  readonly disk: MemoryDisk
  readonly complaints: string[]
  /** Calls that were made, `<method> <server>`. */
  readonly calls: string[]
  /** What servers answer with their keys. */
  readonly published: Map<ServerName, JsonObject | (() => Promise<JsonObject>)>
  /** What the notary answers. */
  notarised: (server: ServerName) => Promise<readonly JsonObject[]>
  keys: ServerKeysOwner
  open(notaries?: readonly ServerName[], signer?: Signer): Promise<ServerKeysOwner>
}

function createWorld(): World {
  const clock = createVirtualClock()
  const disk = createMemoryDisk()
  const away = async (): Promise<never> => {
    throw new CarrierError('unreachable', 'away')
  }
  const federation: Pick<Federation, 'serverKeys' | 'notaryKeys'> = {
    serverKeys: async (server) => {
      world.calls.push(`server ${server}`)
      const found = world.published.get(server)
      return typeof found === 'function' ? found() : (found ?? away())
    },
    notaryKeys: async (asked, server) => {
      world.calls.push(`notary ${asked} ${server}`)
      return world.notarised(server)
    },
  }
  const world: World = {
    clock,
    disk,
    complaints: [],
    calls: [],
    published: new Map(),
    notarised: away,
    keys: undefined as unknown as ServerKeysOwner,
    async open(notaries = [], signer = own) {
      disk.kill()
      const store = await openMemoryStore(disk)
      const deps = {
        store,
        committer: await createCommitter(store),
        federation,
        signer,
        verifier: createVerifier(webcrypto.subtle),
        clock,
        random: { bytes: (length: number) => new Uint8Array(length) },
        log: { log: (level: string, text: string) => void world.complaints.push(`${level} ${text}`) },
      }
      world.keys = createServerKeys(deps, { notaries })
      return world.keys
    },
  }
  return world
}

let world: World
beforeEach(async () => {
  world = createWorld()
  await world.open()
})

const wants = (signer: Signer, at = world.clock.now()): WantedKey => ({
  server: signer.name,
  keyId: signer.keyId as KeyId,
  at,
})
const one = async (wanted: WantedKey): Promise<KeyAnswer | undefined> =>
  (await world.keys.lookup([wanted]))[0]
const publish = async (signers: readonly Signer[], validUntil: number, more?: JsonObject): Promise<void> => {
  world.published.set(stock.name, await keyDocument(signers, validUntil, more))
}
const soon = (): number => world.clock.now() + DAY

describe('looking up keys', () => {
  it('reads those of key names in the name', async () => {
    const other = testSigner(9)
    expect(await one({ ...wants(other), keyId: 'ed25519:any' as KeyId })).toEqual(other.publicKey)
    expect(world.calls).toEqual([])
  })

  it('fetches those of others, once for all who wait, and remembers them over a restart', async () => {
    await publish([stock], soon())
    const batch = Array.from({ length: 20 }, () => wants(stock))
    const answers = await Promise.all([world.keys.lookup(batch), world.keys.lookup(batch)])
    for (const answer of answers.flat()) expect(answer).toEqual(stock.publicKey)
    expect(world.calls).toEqual(['server example.org'])
    await world.open()
    world.published.clear()
    expect(await one(wants(stock))).toEqual(stock.publicKey)
    expect(world.calls).toHaveLength(1)
  })

  it('knows its own key under a name that is none, and no other', async () => {
    await world.open([], stock)
    expect(await one(wants(stock))).toEqual(stock.publicKey)
    expect(await one(wants(rotated))).toBe('none')
    expect(world.calls).toEqual([])
  })

  it('waits no longer than it was told, while the fetch goes on', async () => {
    const document = await keyDocument([stock], soon())
    const { promise, resolve } = Promise.withResolvers<JsonObject>()
    world.published.set(stock.name, () => promise)
    const came: ServerName[] = []
    world.keys.watch((server) => came.push(server))
    const looking = world.keys.lookup([wants(stock)], { waitMs: 500 })
    await world.clock.advance(500)
    expect(await looking).toEqual(['unknown'])
    resolve(document)
    await world.keys.idle()
    expect(came).toEqual([stock.name])
    expect(await one(wants(stock))).toEqual(stock.publicKey)
  })

  it('leaves a server alone for growing pauses that cannot be asked', async () => {
    for (let i = 0; i < 50; i += 1) expect(await one(wants(stock))).toBe('unknown')
    expect(world.calls).toHaveLength(1)
    await publish([stock], soon())
    await world.clock.advance(60_000)
    expect(await one(wants(stock))).toEqual(stock.publicKey)
  })

  it('lets members wait for no stranger, of whom a bounded number waits', async () => {
    const never = new Promise<JsonObject>(() => undefined)
    const wanted = Array.from({ length: 300 }, (_, index) => wants(dnsSigner(`s${index}.example`, 2)))
    for (const { server } of wanted) world.published.set(server, () => never)
    await publish([stock], soon())
    const strangers = wanted.map((key) =>
      world.keys.lookup([key], { forStranger: true, broughtBy: key.server, waitMs: 60_000 }),
    )
    await world.clock.settled()
    expect(world.calls).toHaveLength(16)
    // Those beyond what may wait are answered at once.
    expect(await Promise.all(strangers.slice(16 + 256))).toEqual(
      Array.from({ length: 28 }, () => ['unknown']),
    )
    expect(await one(wants(stock))).toEqual(stock.publicKey)
    // Nor where the very server is among those that strangers wait for.
    const late = dnsSigner('s100.example', 2)
    world.published.set(late.name, await keyDocument([late], soon()))
    expect(await one(wants(late))).toEqual(late.publicKey)
    expect(world.calls).toHaveLength(18)
  })

  it('keeps nobody waiting for all that one server names', async () => {
    const never = new Promise<JsonObject>(() => undefined)
    const hostile = Array.from({ length: 50 }, (_, index) => wants(dnsSigner(`s${index}.example`, 2)))
    for (const { server } of hostile) world.published.set(server, () => never)
    void world.keys.lookup(hostile, { broughtBy: 'hostile.example' as ServerName, waitMs: 60_000 })
    await world.clock.settled()
    expect(world.calls).toHaveLength(MAX_KEY_FETCHES_FOR_ONE)
    await publish([stock], soon())
    const late = dnsSigner('s49.example', 2)
    world.published.set(late.name, await keyDocument([late], soon()))
    // Another has its turn, for a server too that the first one waits for.
    const broughtBy = 'honest.example' as ServerName
    expect(await world.keys.lookup([wants(stock), wants(late)], { broughtBy })).toEqual([
      stock.publicKey,
      late.publicKey,
    ])
  })

  it('asks a bounded number of servers at once', async () => {
    let most = 0
    let running = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    const wanted = Array.from({ length: 100 }, (_, index) => wants(dnsSigner(`s${index}.example`, 2)))
    for (const { server } of wanted) {
      world.published.set(server, async () => {
        running += 1
        most = Math.max(most, running)
        await promise
        running -= 1
        return {}
      })
    }
    const looking = Promise.all([
      world.keys.lookup(wanted.slice(50)),
      world.keys.lookup(wanted.slice(0, 50), { broughtBy: 'other.example' as ServerName }),
    ])
    await world.clock.settled()
    resolve()
    expect(new Set((await looking).flat())).toEqual(new Set(['unknown']))
    expect(most).toBe(16)
    expect(world.calls).toHaveLength(100)
  })
})

describe('what a key counts for', () => {
  it('is what is dated within the validity of a document, which is fetched anew', async () => {
    await publish([stock], soon())
    await one(wants(stock))
    await world.clock.advance(2 * DAY)
    await publish([stock], soon())
    expect(await one(wants(stock))).toEqual(stock.publicKey)
    expect(world.calls).toHaveLength(2)
  })

  it('is no event after a document that is not renewed, but in rooms of versions 1 to 4', async () => {
    await publish([stock], world.clock.now() - 1)
    expect(await one(wants(stock))).toBe('none')
    expect(await one(wants(stock, world.clock.now() - 1))).toEqual(stock.publicKey)
    expect(await one({ ...wants(stock), beyondValidity: true })).toEqual(stock.publicKey)
  })

  it('is nothing dated more than a week ahead, whatever the document says, until that time comes', async () => {
    await publish([stock], world.clock.now() + 1_000 * DAY)
    const ahead = world.clock.now() + 8 * DAY
    expect(await one(wants(stock, ahead))).toBe('unknown')
    await world.clock.advance(2 * DAY)
    expect(await one(wants(stock, ahead))).toEqual(stock.publicKey)
  })

  it('is what an old key signed before it expired', async () => {
    const expired = world.clock.now() - DAY
    const old = { [stock.keyId]: { key: encodeBase64(stock.publicKey), expired_ts: expired } }
    await publish([rotated], soon(), { old_verify_keys: old })
    expect(await one(wants(stock, expired))).toEqual(stock.publicKey)
    expect(await one(wants(stock, expired + 1))).toBe('none')
    expect(await one({ ...wants(stock, expired + 1), beyondValidity: true })).toBe('none')
    // An expired key does not come back: who stole it could say so.
    await world.clock.advance(2 * DAY)
    await publish([stock], soon())
    await one(wants(dnsSigner('example.org', 5, 'ed25519:a_5')))
    expect(await one(wants(stock))).toBe('none')
  })

  it('is what a key signed that its server shows no more, while it was valid', async () => {
    const at = world.clock.now()
    await publish([stock], soon())
    await one(wants(stock))
    await world.clock.advance(2 * DAY)
    await publish([rotated], soon())
    expect(await one(wants(rotated))).toEqual(rotated.publicKey)
    expect(await one(wants(stock, at))).toEqual(stock.publicKey)
    await world.clock.advance(60_000)
    expect(await one(wants(stock))).toBe('none')
  })

  it('is not asked for again at once when its server does not have it', async () => {
    await publish([stock], soon())
    expect(await one(wants(rotated))).toBe('none')
    await world.clock.advance(1)
    for (let i = 0; i < 50; i += 1) expect(await one(wants(rotated))).toBe('unknown')
    expect(world.calls).toHaveLength(1)
    // What came before the server was asked is held to what it showed then.
    const [answer] = await world.keys.lookup([wants(rotated)], { since: world.clock.now() - 1 })
    expect(answer).toBe('none')
  })
})

describe('hostile documents', () => {
  const refused = async (): Promise<void> => {
    expect(await one(wants(stock))).toBe('unknown')
    expect(world.complaints).toEqual(['info the keys of a server cannot be had'])
  }

  it('of another server', async () => {
    await publish([dnsSigner('other.example', 2)], soon())
    await refused()
  })

  it('that their server did not sign', async () => {
    const { signatures: _, ...unsigned } = await keyDocument([stock], soon())
    world.published.set(stock.name, unsigned)
    await refused()
  })

  it('that were changed after they were signed', async () => {
    const document = await keyDocument([stock], soon())
    world.published.set(stock.name, { ...document, valid_until_ts: soon() + 1 })
    await refused()
  })

  it('that claim a key whose holder did not sign', async () => {
    const stolen = { [rotated.keyId]: { key: encodeBase64(rotated.publicKey) } }
    const honest = { [stock.keyId]: { key: encodeBase64(stock.publicKey) } }
    await publish([stock], soon(), { verify_keys: { ...honest, ...stolen } })
    expect(await one(wants(stock))).toEqual(stock.publicKey)
    expect(await one(wants(rotated))).toBe('none')
  })

  it('of too many keys', async () => {
    await publish(
      Array.from({ length: 9 }, (_, index) => dnsSigner('example.org', 2, `ed25519:${index}`)),
      soon(),
    )
    await refused()
  })

  it('of too many old keys', async () => {
    const entry = { key: encodeBase64(rotated.publicKey), expired_ts: 1 }
    const old = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`ed25519:${index}`, entry]))
    await publish([stock], soon(), { old_verify_keys: old })
    await refused()
  })

  it('that are huge', async () => {
    await publish([stock], soon(), { padding: 'x'.repeat(40_000) })
    await refused()
  })

  it('that replace a known key', async () => {
    await publish([stock], soon())
    await one(wants(stock))
    const thief = dnsSigner('example.org', 77)
    await world.clock.advance(60_000)
    await publish([thief], soon())
    expect(await one(wants(rotated))).toBe('none')
    expect(await one(wants(stock))).toEqual(stock.publicKey)
    expect(world.complaints).toContain('warn a server shows another key under the id of a known one')
    // A server that lost its key, and named the new one alike, is heard once the old one no longer counts.
    await world.clock.advance(8 * DAY)
    await publish([thief], soon())
    expect(await one(wants(stock))).toEqual(thief.publicKey)
  })

  it('that bring new old keys all the time', async () => {
    for (let round = 0; round < 4; round += 1) {
      const old = Array.from({ length: 64 }, (_, index) => [
        `ed25519:r${round}_${index}`,
        { key: encodeBase64(rotated.publicKey), expired_ts: 1_000 + round },
      ])
      await publish([stock], soon(), { old_verify_keys: Object.fromEntries(old) as JsonObject })
      await one(wants(rotated))
      await world.clock.advance(60_000)
    }
    const store = await openMemoryStore(world.disk)
    const [row] = await store.range('server-keys', '', '\u00ff')
    const { keys } = JSON.parse(row?.[1] ?? '{}') as { keys: JsonObject }
    expect(Object.keys(keys)).toHaveLength(128)
    expect(keys[stock.keyId]).toBeDefined()
  })

  it('without a single sound key', async () => {
    const small = { key: encodeBase64(new Uint8Array(32).fill(0)) }
    const document = await keyDocument([stock], soon(), { verify_keys: { [stock.keyId]: small } })
    world.published.set(stock.name, document)
    await refused()
  })
})

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
    const other = createWorld()
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
