/** The named bounds of rooms and inbound traffic that no other test of this folder meets. */
import { webcrypto } from 'node:crypto'
import {
  buildEvent,
  encodeBase64,
  eventIdOf,
  memberKey,
  roomVersion,
  signingBytes,
  stateKey,
  withSignature,
} from '@plexus/core'
import type { EventId, JsonObject, KeyId, Pdu, RoomId, RoomVersion, ServerName } from '@plexus/core'
import { checkEvents } from '@plexus/engine'
import type { EduHandler } from '@plexus/engine'
import { createMemoryDisk, openMemoryStore } from '@plexus/store/memory'
import { createVerifier } from '@plexus/engine/testing'
import type { Verifier } from '@plexus/engine/ports'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { testSigner } from '../kit/keys.ts'
import {
  bodies,
  createRoom,
  initialState,
  say,
  stateText,
  timeline,
  TO_END,
  FROM_START,
} from './rooms-kit.ts'

const version = roomVersion('12') as RoomVersion

describe('bounds', { timeout: 60_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let roomId: RoomId

  beforeEach(async () => {
    network = createBareNetwork()
    alice = await network.add('alice')
    bob = await network.add('bob')
    roomId = await createRoom(alice, 'public')
  })

  const join = async (): Promise<void> => {
    await bob.rooms.join(bob.user, roomId, { via: [alice.name] })
    await network.settle()
  }

  const made = async (
    node: BareNode,
    prev: readonly EventId[],
    auth?: readonly EventId[],
    type = 'm.room.message',
  ): Promise<Pdu> => {
    const snapshot = await alice.rooms.snapshot(roomId)
    const keys = [stateKey('m.room.power_levels', ''), memberKey(node.user)]
    const bare = buildEvent(version, {
      template: { type, sender: node.user, content: { body: String(prev[0]) } },
      roomId,
      prevEvents: prev.map((id) => ({ reference: id, depth: 9 })),
      authEvents: auth ?? keys.flatMap((key) => snapshot?.state.get(key) ?? []),
      now: 1_700_000_000_000,
    })
    const signature = encodeBase64(await node.signer.sign(signingBytes(version, bare)))
    return withSignature(bare, node.name, node.signer.keyId as KeyId, signature)
  }
  const nowhere = (index: number): EventId => `$${String(index).padStart(43, 'B')}` as EventId

  it('events that a new room may start with', async () => {
    const more = Array.from({ length: 198 }, (_, index) => ({
      type: 'm.x',
      stateKey: String(index),
      content: {},
    }))
    const some = initialState(alice.user)
    await expect(
      alice.rooms.create({ creator: alice.user, initialState: [...some, ...more] }),
    ).rejects.toMatchObject({ errcode: 'M_TOO_LARGE' })
    await alice.rooms.create({ creator: alice.user, initialState: [...some, ...more.slice(1)] })
  })

  it('events of one page of a timeline', async () => {
    for (let index = 0; index < 1_050; index += 1) await say(alice, roomId, String(index))
    const range = { from: FROM_START, to: TO_END, direction: 'b', limit: 1_000_000 } as const
    const page = await alice.rooms.timeline(roomId, range)
    expect(page.events).toHaveLength(1_000)
    expect(page.next).toBeDefined()
  })

  it('servers tried for one join', async () => {
    const via = Array.from({ length: 20 }, (_, index) => testSigner(500 + index).name)
    await expect(bob.rooms.join(bob.user, roomId, { via })).rejects.toMatchObject({ errcode: 'M_UNKNOWN' })
    expect(bob.calls).toHaveLength(5)
  })

  it('signatures of one server that are tried', async () => {
    await join()
    const pdu = await made(bob, (await alice.rooms.snapshot(roomId))?.heads ?? [])
    const good = pdu.signatures[bob.name]?.['ed25519:1'] as string
    let checks = 0
    const inner = createVerifier(webcrypto.subtle)
    const verifier: Verifier = { verify: (given) => ((checks += given.length), inner.verify(given)) }
    const junk = Object.fromEntries(
      Array.from({ length: 400 }, (_, index) => [
        `ed25519:j${index}`,
        encodeBase64(new Uint8Array(64).fill(1)),
      ]),
    )
    const verdicts = await checkEvents({ verifier, keys: alice.keys }, version, roomId, [
      { ...pdu, signatures: { [bob.name]: { ...junk, 'ed25519:1': good } } },
      { ...pdu, signatures: { [bob.name]: { 'ed25519:1': good, ...junk } } },
    ])
    expect(verdicts.map(({ kind }) => kind)).toEqual(['drop', 'ok'])
    expect(checks).toBe(8)
  })

  it('auth events fetched for one gap', async () => {
    await join()
    let asked = 0
    let index = 0
    network.cheats.set(bob.name, {
      getMissingEvents: async () => ({ events: [] }),
      backfill: async () => ({ pdus: [] }),
      stateIds: () => Promise.reject(new Error('no')),
      // Each is another than was asked for, and would need ten more.
      event: async () => {
        asked += 1
        index += 10
        const auth = Array.from({ length: 10 }, (_, each) => nowhere(index + each))
        return { pdus: [await made(bob, [nowhere(index)], auth)] }
      },
    })
    const pdu = await made(
      bob,
      [nowhere(1)],
      Array.from({ length: 10 }, (_, each) => nowhere(100_000 + each)),
    )
    await alice.rooms.receive(bob.name, [pdu])
    await network.settle()
    expect(asked).toBeLessThanOrEqual(200)
  })

  it('the time that one server may take over a gap', async () => {
    await join()
    const slow =
      <T>(answer: T) =>
      async (): Promise<T> => {
        network.clock.fire(network.clock.now() + 25_000)
        return answer
      }
    let events = 0
    network.cheats.set(bob.name, {
      getMissingEvents: slow({ events: [] }),
      backfill: slow({ pdus: [] }),
      event: async () => {
        events += 1
        return slow({ pdus: [] })()
      },
    })
    const pdu = await made(
      bob,
      [nowhere(1)],
      Array.from({ length: 10 }, (_, each) => nowhere(10 + each)),
    )
    await alice.rooms.receive(bob.name, [pdu])
    await network.settle()
    expect(events).toBeLessThanOrEqual(5)
  })

  it('states asked for one gap, and ids that one request starts from', async () => {
    await join()
    let states = 0
    const starts: number[] = []
    network.cheats.set(bob.name, {
      getMissingEvents: async () => ({
        events: await Promise.all(
          Array.from({ length: 80 }, (_, index) => made(bob, [nowhere(2 * index), nowhere(2 * index + 1)])),
        ),
      }),
      backfill: async (_to, _room, from) => {
        starts.push(from.length)
        return { pdus: [] }
      },
      stateIds: async (_to, room, id) => {
        states += 1
        expect(id).toMatch(/^\$/)
        const state = (await alice.rooms.snapshot(room))?.state
        return { pduIds: [...(state?.values() ?? [])], authChainIds: [] }
      },
    })
    await alice.rooms.receive(bob.name, [await made(bob, [nowhere(1_000)])])
    await network.settle()
    expect(Math.max(...starts)).toBe(50)
    expect(states).toBe(20)
  })

  it('incarnations that are remembered of one server', async () => {
    const handlers = new Map<string, EduHandler>([['m.direct_to_device', async () => undefined]])
    const carol = await network.add('carol', { handlers })
    for (let index = 0; index < 30; index += 1) {
      const edus = [{ edu_type: 'm.direct_to_device', content: {} }]
      const ordered = { incarnation: `i${index}`, sequence: 1, acknowledged: 0 }
      await carol.inbound.transaction({ origin: alice.name, pdus: [], edus, ordered })
    }
    const [row] = await carol.store.range('origin', '', '\u00ff')
    const records = JSON.parse(row?.[1] ?? '[]') as { incarnation: string }[]
    expect(records.map(({ incarnation }) => incarnation)).toEqual(
      Array.from({ length: 8 }, (_, index) => `i${29 - index}`),
    )
  })

  it('the chain of changes that a state is stored as', async () => {
    const disk = createMemoryDisk()
    const host = await network.add('host', await openMemoryStore(disk))
    const room = await createRoom(host)
    for (let index = 0; index < 200; index += 1) {
      const content = { topic: String(index) }
      await host.rooms.send(room, { type: 'm.room.topic', stateKey: '', sender: host.user, content })
    }
    const lengths = new Map<string, number>()
    const rows = await host.store.range('group', '', '\u00ff')
    const prevs = new Map(
      rows.map(([key, value]) => [key.slice(0, -1), JSON.parse(value) as { prev?: string }]),
    )
    const lengthOf = (id: string): number => {
      const prev = prevs.get(id)?.prev
      const length = lengths.get(id) ?? (prev === undefined ? 0 : lengthOf(prev) + 1)
      lengths.set(id, length)
      return length
    }
    expect(prevs.size).toBeGreaterThan(200)
    const longest = Math.max(...[...prevs.keys()].map(lengthOf))
    expect(longest).toBeGreaterThan(60)
    expect(longest).toBeLessThan(70)
    const before = await stateText(host, room)
    const again = await network.add('host', { store: await openMemoryStore(disk), seed: 3 })
    expect(await stateText(again, room)).toBe(before)
    for (const { id } of (await timeline(again, room)).slice(0, 5))
      expect(await again.rooms.stateAfter(id)).toBeDefined()
  })

  it('a transaction of everything that is hostile at once', async () => {
    await join()
    const head = (await alice.rooms.snapshot(roomId))?.heads ?? []
    const nested = JSON.parse(`${'{"a":'.repeat(200)}1${'}'.repeat(200)}`) as JsonObject
    const pdus: JsonObject[] = [
      {},
      { room_id: 7 },
      { room_id: roomId },
      { ...(await made(bob, head)), signatures: { [bob.name]: { 'ed25519:1': '' } } },
      { ...(await made(bob, head)), content: nested },
      { ...(await made(bob, head)), depth: 1.5 },
      { ...(await made(bob, head)), prev_events: Array.from({ length: 21 }, (_, index) => nowhere(index)) },
      { ...(await made(bob, head)), auth_events: Array.from({ length: 11 }, (_, index) => nowhere(index)) },
      await made(bob, [], undefined),
      await made(bob, head, []),
      await made(bob, head, undefined, 'm.room.create'),
    ]
    await alice.rooms.receive(bob.name, pdus)
    await network.settle()
    await say(alice, roomId, 'still here')
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['still here'])
    expect(network.complaints.filter((line) => line.startsWith('error'))).toEqual([])
    const name: ServerName = bob.name
    expect((await alice.rooms.snapshot(roomId))?.joinedServers).toContain(name)
    expect(eventIdOf(version, await made(bob, head))).toMatch(/^\$/)
  })
})
