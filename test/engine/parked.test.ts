/** Events of servers whose key cannot be had yet. */
import type { JsonObject, KeyId, Pdu, RoomId } from '@plexus/core'
import { encodeBase64 } from '@plexus/core'
import { nameOfKey } from '@plexus/core/names'
import { CarrierError, type Signer } from '@plexus/engine/ports'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { dnsSigner } from '../kit/key-documents.ts'
import { testSigner } from '../kit/keys.ts'
import { bodies, createRoom, make, say } from './rooms-kit.ts'

const DAY = 86_400_000

/** A Plexus node that servers with a DNS name reach. */
function suffixed(seed: number): Signer {
  const signer = testSigner(seed)
  return { ...signer, name: nameOfKey(signer.publicKey, 'gw.example') }
}

const away = { serverKeys: () => Promise.reject(new CarrierError('unreachable', 'away')) }

describe('events whose key cannot be had', () => {
  let network: BareNetwork
  let stock: BareNode
  let bob: BareNode
  let late: BareNode
  let roomId: RoomId

  beforeEach(async () => {
    network = createBareNetwork()
    stock = await network.add('alice', { signer: dnsSigner('a.example', 11) })
    bob = await network.add('bob', { signer: suffixed(12) })
    late = await network.add('late', { signer: dnsSigner('late.example', 13) })
    roomId = await createRoom(stock, 'public')
    await bob.rooms.join(bob.user, roomId, { via: [stock.name] })
    await network.settle()
  })

  /** Joins, of which Bob hears, who cannot get the key. */
  async function joinUnheard(): Promise<void> {
    await stock.keys.lookup([{ server: late.name, keyId: late.signer.keyId as KeyId, at: 0 }])
    network.cheats.set(late.name, away)
    await late.rooms.join(late.user, roomId, { via: [stock.name] })
    await network.settle()
  }

  /** The key of the late server can be had, which shows when it says something. */
  async function hear(node: BareNode): Promise<void> {
    network.cheats.delete(late.name)
    await network.pass(60_000)
    await node.keys.lookup([
      { server: late.name, keyId: late.signer.keyId as KeyId, at: network.clock.now() },
    ])
    await say(late, roomId, 'hello')
    await network.pass(60_000)
  }

  const parkedOf = async (node: BareNode): Promise<number> =>
    (await node.store.range('parked', '', '\u00ff')).length

  it('wait until it comes', async () => {
    await joinUnheard()
    expect(await parkedOf(bob)).toBe(2)
    expect(await bodies(bob, roomId)).toEqual([])
    await network.pass(DAY / 24)
    expect(await parkedOf(bob)).toBe(2)
    await hear(bob)
    expect(await bodies(bob, roomId)).toEqual(['hello'])
    expect((await bob.rooms.snapshot(roomId))?.joinedServers).toContain(late.name)
    expect(await parkedOf(bob)).toBe(0)
  })

  it('are there after a restart', async () => {
    await joinUnheard()
    bob.staging.close()
    const again = await network.add('bob', { signer: bob.signer, store: bob.store })
    await again.staging.resume()
    await hear(again)
    expect(await bodies(again, roomId)).toEqual(['hello'])
    expect(await parkedOf(again)).toBe(0)
  })

  it('are dropped when it comes and did not sign them, which keeps no true copy out', async () => {
    await joinUnheard()
    const { pdu, id } = await make(late, stock, roomId, { body: 'true', now: network.clock.now() })
    const junk = { [late.name]: { [late.signer.keyId]: encodeBase64(new Uint8Array(64).fill(1)) } }
    const forged: Pdu = { ...pdu, signatures: junk }
    expect(await bob.rooms.receive(stock.name, [forged])).toEqual({ [id]: {} })
    await hear(bob)
    expect(await bodies(bob, roomId)).toEqual(['hello'])
    expect(await parkedOf(bob)).toBe(0)
    await bob.rooms.receive(late.name, [pdu])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['hello', 'true'])
  })

  it('are no more than what one server may have waiting, and nothing of who is not in the room', async () => {
    network.cheats.set('nobody.example' as never, away)
    const stranger = {
      ...late,
      signer: dnsSigner('nobody.example', 14),
      name: 'nobody.example',
      user: '@x:nobody.example',
    }
    const made: Pdu[] = []
    for (let index = 0; index < 210; index += 1)
      made.push((await make(stranger as BareNode, stock, roomId, { body: String(index) })).pdu)
    const verdicts = await bob.rooms.receive(stock.name, made)
    const refused = Object.values(verdicts).filter(({ error }) => error !== undefined)
    expect(refused).toHaveLength(10)
    expect(await parkedOf(bob)).toBe(200)
    const [first = {}] = made as readonly JsonObject[]
    const outside = Object.values(await bob.rooms.receive('other.example' as never, [first]))
    expect(outside).toEqual([{ error: 'the sending server is not in the room' }])
    expect(await parkedOf(bob)).toBe(200)
    // The same events again take no more room.
    await bob.rooms.receive(stock.name, made.slice(0, 5))
    expect(await parkedOf(bob)).toBe(200)
    await network.pass(8 * DAY)
    expect(await parkedOf(bob)).toBe(0)
    expect(network.complaints.join()).toContain('events whose key nobody has are dropped')
  })

  it('wait while they are dated after what the document of their server is valid for', async () => {
    await late.rooms.join(late.user, roomId, { via: [stock.name] })
    await network.settle()
    const { pdu } = await make(late, stock, roomId, { body: 'soon', now: network.clock.now() + 3 * DAY })
    await bob.rooms.receive(late.name, [pdu])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual([])
    expect(await parkedOf(bob)).toBe(1)
    await network.pass(3 * DAY)
    expect(await bodies(bob, roomId)).toEqual(['soon'])
  })

  it('are left out of the state that a resident server tells', async () => {
    await late.rooms.join(late.user, roomId, { via: [stock.name] })
    await network.settle()
    network.cheats.set(late.name, away)
    const carol = await network.add('carol', { signer: suffixed(15) })
    await carol.rooms.join(carol.user, roomId, { via: [stock.name] })
    await network.settle()
    const servers = (await carol.rooms.snapshot(roomId))?.joinedServers ?? []
    expect(servers).not.toContain(late.name)
    expect(servers).toContain(stock.name)
    expect(network.complaints.join()).toContain('events of a join were dropped')
  })
})
