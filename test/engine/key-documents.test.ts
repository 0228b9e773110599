/** What is believed of a document with the keys of a server, whoever wrote it. */
import { encodeBase64, type JsonObject } from '@plexus/core'
import { openMemoryStore } from '@plexus/store/memory'
import { beforeEach, describe, expect, it } from 'vitest'
import { dnsSigner, keyDocument } from '../kit/key-documents.ts'
import { createKeysWorld, keysKit, DAY, rotated, stock, type KeysWorld } from './server-keys-kit.ts'

let world: KeysWorld
beforeEach(async () => {
  world = await createKeysWorld()
})
const { wants, one, publish, soon } = keysKit(() => world)

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
