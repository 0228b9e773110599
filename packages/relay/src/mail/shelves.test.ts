import type { JsonObject, UserId } from '@plexus/core'
import {
  MAX_SHELF_BYTES,
  MAX_SHELF_DEVICES,
  MAX_SHELF_KEYS_OF_NAME,
  shelfBytes,
  type SignedShelf,
} from '@plexus/core/names'
import type { ShelfKeys } from '@plexus/engine/ports'
import {
  decodeShelfAnswer,
  decodeShelfCounts,
  encodeShelfQuestion,
  encodeStock,
  MailboxFrame as K,
  MAX_SHELF_KEY_BYTES,
  MAX_SHELF_KEYS,
} from '@plexus/p2p/wire'
import { describe, expect, it } from 'vitest'
import { CLAIM_BURST } from '../limits.ts'
import {
  clock,
  NOW,
  owner,
  registration,
  start,
  store,
  useMailService,
  visit,
  type Visitor,
} from '../testing/mail-world.ts'
import { createRecipient, deviceAt, listOf } from '../testing/recipients.ts'

useMailService()

const keyOf = (id: string): JsonObject => ({ [`signed_curve25519:${id}`]: { key: id } })

async function ownerAt(device = deviceAt(0)): Promise<Visitor> {
  const visitor = visit(device)
  await visitor.ask(K.register, registration(device))
  return visitor
}

const stocked = (visitor: Visitor, shelf: SignedShelf, keys: ShelfKeys = {}): ReturnType<Visitor['ask']> =>
  visitor.ask(K.stock, encodeStock({ shelf, keys }))

const question = (devices: readonly string[], user: UserId = owner.user): Uint8Array =>
  encodeShelfQuestion({ recipient: owner.name, user, devices })

const lastOf = (visitor: Visitor, kind: number): Uint8Array =>
  visitor.got.findLast((frame) => frame.kind === kind)?.body ?? new Uint8Array()

describe('a key shelf', () => {
  it('is filled by its owner and shown to anybody, with a key of each device that is asked for', async () => {
    start()
    const mine = await ownerAt()
    const keys = { A: { add: [keyOf('1'), keyOf('2')], fallback: keyOf('f') } }
    expect(await stocked(mine, owner.shelf(), keys)).toBe('done')
    expect(decodeShelfCounts(lastOf(mine, K.stocked))).toMatchObject({ A: { left: 2 }, B: { left: 0 } })
    const other = visit(deviceAt(7))
    expect(await other.ask(K.ask, question([]))).toBe('done')
    expect(decodeShelfAnswer(lastOf(other, K.shelf))).toEqual({ shelf: owner.shelf(), keys: {} })
    expect(await other.ask(K.ask, question(['A', 'A', 'B', '__proto__']))).toBe('done')
    expect(decodeShelfAnswer(lastOf(other, K.shelf))?.keys).toEqual({ A: keyOf('1') })
  })

  it('gives an address so many one-time keys and then the fallback key, and others go on', async () => {
    start()
    const mine = await ownerAt()
    const fill = async (): Promise<void> => {
      const add = Array.from({ length: 30 }, (_, n) => keyOf(`${n}`))
      await stocked(mine, owner.shelf(), { A: { add, fallback: keyOf('f') } })
    }
    const greedy = visit(deviceAt(7), '/ip4/192.0.2.7/tcp/1')
    const taken = new Map<string, number>()
    for (let n = 0; n < CLAIM_BURST + 10; n += 1) {
      if (n % 20 === 0) await fill()
      await greedy.ask(K.ask, question(['A']))
      const name = JSON.stringify(decodeShelfAnswer(lastOf(greedy, K.shelf))?.keys['A'])
      taken.set(name, (taken.get(name) ?? 0) + 1)
    }
    expect(taken.get(JSON.stringify(keyOf('f')))).toBe(10)
    const other = visit(deviceAt(8), '/ip4/192.0.2.8/tcp/1')
    await other.ask(K.ask, question(['A']))
    expect(decodeShelfAnswer(lastOf(other, K.shelf))?.keys['A']).not.toEqual(keyOf('f'))
  })

  it('is shown with as many keys as a frame holds, and keeps the others', async () => {
    start()
    const mine = await ownerAt()
    const ids = Array.from({ length: MAX_SHELF_DEVICES }, (_, n) => `D${n}`)
    const list = { ...listOf(owner.user, ids), padding: '' }
    const shelf = owner.shelf({ list: { ...list, padding: 'x'.repeat(MAX_SHELF_BYTES - shelfBytes(list)) } })
    const long = 'k'.repeat(MAX_SHELF_KEY_BYTES - JSON.stringify(keyOf('')).length)
    const key = { 'signed_curve25519:': { key: long } }
    for (let n = 0; n < ids.length; n += 16)
      await stocked(mine, shelf, Object.fromEntries(ids.slice(n, n + 16).map((id) => [id, { add: [key] }])))
    const other = visit(deviceAt(7))
    expect(await other.ask(K.ask, question(ids))).toBe('done')
    const given = Object.keys(decodeShelfAnswer(lastOf(other, K.shelf))?.keys ?? {})
    expect([given.length > 20, given.length < ids.length]).toEqual([true, true])
    expect(await stocked(mine, shelf)).toBe('done')
    const counts = decodeShelfCounts(lastOf(mine, K.stocked)) ?? {}
    expect(ids.filter((id) => counts[id]?.left === 0)).toEqual(given)
  })

  it('takes so many keys of a name, of all its users together', async () => {
    start()
    const mine = await ownerAt()
    const add = Array.from({ length: MAX_SHELF_KEYS }, (_, n) => keyOf(`${n}`))
    const ids = Array.from({ length: 16 }, (_, n) => `D${n}`)
    const stockOf = (n: number): ReturnType<Visitor['ask']> => {
      const user = `@u${n}:${owner.name}` as UserId
      const keys = Object.fromEntries(ids.map((id) => [id, { add }]))
      return stocked(mine, owner.shelf({ user, list: listOf(user, ids) }), keys)
    }
    const most = Math.floor(MAX_SHELF_KEYS_OF_NAME / (ids.length * add.length))
    for (let n = 0; n < most; n += 1) expect(await stockOf(n)).toBe('done')
    expect(await stockOf(most)).toBe('quota')
  })

  it('is of its owner alone', async () => {
    start()
    const mine = await ownerAt()
    const stranger = createRecipient(NOW)
    expect(await stocked(visit(deviceAt(0)), owner.shelf())).toBe('not-allowed')
    expect(await stocked(mine, stranger.shelf())).toBe('not-allowed')
    expect(await stocked(mine, { ...owner.shelf(), signature: stranger.shelf().signature })).toBe(
      'not-allowed',
    )
    expect(await stocked(mine, owner.shelf({ expires: NOW - 1 }))).toBe('not-allowed')
    expect(await mine.ask(K.stock, new TextEncoder().encode('{"shelf":1}'))).toBe('nonsense')
    expect(await stocked(mine, owner.shelf({ sequence: 3 }))).toBe('done')
    expect(await stocked(mine, owner.shelf({ sequence: 2 }))).toBe('old-record')
    expect(await store.shelf(owner.name, owner.user)).toEqual(owner.shelf({ sequence: 3 }))
  })

  it('is shown no more when it is over, or its owner is', async () => {
    start()
    const mine = await ownerAt()
    const other = visit(deviceAt(7))
    expect(await other.ask(K.ask, question([]))).toBe('unknown-recipient')
    await stocked(mine, owner.shelf({ expires: clock.now() + 1_000 }))
    expect(await other.ask(K.ask, question([]))).toBe('done')
    expect(await other.ask(K.ask, question([], `@eve:${owner.name}` as UserId))).toBe('unknown-recipient')
    clock.advance(1_000)
    expect(await other.ask(K.ask, question([]))).toBe('unknown-recipient')
    await stocked(mine, owner.shelf({ sequence: 2 }))
    expect(await other.ask(K.ask, question([]))).toBe('done')
    await store.register(owner.mailbox({ tombstone: 'dead' }), 9)
    expect(await other.ask(K.ask, question([]))).toBe('unknown-recipient')
    expect(await other.ask(K.ask, new Uint8Array([1]))).toBe('nonsense')
  })

  it('costs who asks for it some of the rate of deposits', async () => {
    start({ depositsPerSecond: 0.001, depositBurst: 20 })
    const other = visit(deviceAt(7), '/ip4/192.0.2.9/tcp/1')
    const answers = await Promise.all(Array.from({ length: 6 }, () => other.ask(K.ask, question([]))))
    expect(answers.filter((answer) => answer === 'too-fast')).toHaveLength(1)
  })

  it('costs more for each key, and nothing for one of a device that it does not name', async () => {
    start({ depositsPerSecond: 0.001, depositBurst: 26 })
    await store.stock({ name: owner.name, shelf: owner.shelf(), keys: {}, maxShelves: 1, maxKeys: 0 })
    const other = visit(deviceAt(7), '/ip4/192.0.2.9/tcp/1')
    const ask = (devices: readonly string[]): ReturnType<Visitor['ask']> =>
      other.ask(K.ask, question(devices))
    expect(await ask(['A', 'B', 'C', 'C2', 'C3', 'C4'])).toBe('done')
    for (let n = 0; n < 3; n += 1) expect(await ask(['A', 'B'])).toBe('done')
    expect(await ask(['A', 'B'])).toBe('too-fast')
  })
})
