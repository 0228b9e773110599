/** Keys of servers whose name is no key: how they are had, what fetching them may cost, and for how long they count. */
import { encodeBase64, type JsonObject, type KeyId, type ServerName } from '@plexus/core'
import { MAX_KEY_FETCHES_FOR_ONE } from '@plexus/engine/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { dnsSigner, keyDocument } from '../kit/key-documents.ts'
import { testSigner } from '../kit/keys.ts'
import { createKeysWorld, keysKit, DAY, rotated, stock, type KeysWorld } from './server-keys-kit.ts'

let world: KeysWorld
beforeEach(async () => {
  world = await createKeysWorld()
})
const { wants, one, publish, soon } = keysKit(() => world)

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
