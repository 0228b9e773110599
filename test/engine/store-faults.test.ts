/** Commits that fail and processes that die in the middle of things: nothing acknowledged is lost or doubled. */
import type { RoomId } from '@plexus/core'
import { prevEventIds } from '@plexus/core'
import type { EduHandler } from '@plexus/engine'
import { createMemoryDisk, openMemoryStore, type Fault, type MemoryDisk } from '@plexus/store/memory'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { createSeededRandom } from '../kit/seeded-random.ts'
import { bodies, bringIn, createRoom, expectAncestorsFirst, say, stateText, timeline } from './rooms-kit.ts'

describe('a room whose store fails', () => {
  let network: BareNetwork
  let disk: MemoryDisk
  let alice: BareNode
  let roomId: RoomId
  /** Asked for each commit of alice's node. */
  let fault: () => Fault | Promise<Fault>

  beforeEach(async () => {
    fault = () => 'none'
    disk = createMemoryDisk({ fault: () => fault() })
    network = createBareNetwork()
    alice = await network.add('alice', await openMemoryStore(disk))
    roomId = await createRoom(alice)
  })

  /** Every event of the timeline has what it follows, also for a process that starts from the disk. */
  const expectWhole = async (): Promise<void> => {
    const again = await network.add('alice', { store: await openMemoryStore(disk), seed: 1 })
    for (const { id, pdu, stateGroup } of await timeline(again, roomId)) {
      expect(stateGroup, id).toBeDefined()
      expect(await again.rooms.stateAfter(id)).toBeDefined()
      for (const previous of await again.rooms.events(prevEventIds(pdu)))
        expect(previous?.verdict).toBe('accepted')
    }
  }

  it('commits nothing that was decided on top of what was not committed', async () => {
    let release: (fault: Fault) => void = () => undefined
    fault = () => new Promise((resolve) => (release = resolve))
    const first = say(alice, roomId, 'first')
    await new Promise((resolve) => setImmediate(resolve))
    // Decided on top of the first, while that is being written; the failure comes in between.
    const others = Array.from({ length: 20 }, (_, index) => say(alice, roomId, `other ${index}`))
    fault = () => 'none'
    for (let turn = 0; turn < 8; turn += 1) await Promise.resolve()
    release('full')
    const results = await Promise.allSettled([first, ...others])
    expect(results.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0)
    await say(alice, roomId, 'after')
    const said = await bodies(alice, roomId)
    expect(said.at(-1)).toBe('after')
    expect(said).toHaveLength(results.filter(({ status }) => status === 'fulfilled').length + 1)
    await expectWhole()
  })

  it('keeps nothing of a room whose creation failed in the middle', async () => {
    await expect(
      alice.rooms.create({
        creator: alice.user,
        initialState: [
          { type: 'm.room.member', stateKey: alice.user, content: { membership: 'join' } },
          { type: 'm.room.power_levels', stateKey: '', content: { users: { nonsense: 1 } } },
        ],
      }),
    ).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    fault = () => 'full'
    await expect(createRoom(alice)).rejects.toMatchObject({ code: 'full' })
    fault = () => 'none'
    const other = await createRoom(alice)
    await say(alice, other, 'works')
    expect(await bodies(alice, other)).toEqual(['works'])
    await expectWhole()
  })
})

describe('two nodes whose stores fail at random', () => {
  it.each(Array.from({ length: 8 }, (_, index) => index + 1))('agree in the end (seed %i)', async (seed) => {
    let state = seed
    const chance = (): number => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
      return state / 2_147_483_648
    }
    let failing = false
    let faults = 0
    const fault = (): Fault => {
      if (!failing || chance() > 0.2) return 'none'
      faults += 1
      return chance() < 0.5 ? 'full' : 'failed'
    }
    const network = createBareNetwork()
    const disks = [createMemoryDisk({ fault }), createMemoryDisk({ fault })]
    const [alice, bob] = [
      await network.add('alice', await openMemoryStore(disks[0] as MemoryDisk)),
      await network.add('bob', await openMemoryStore(disks[1] as MemoryDisk)),
    ]
    const roomId = await createRoom(alice)
    await bringIn(network, alice, bob, roomId)
    failing = true
    const written: string[] = []
    const write = async (node: BareNode, body: string): Promise<void> => {
      await say(node, roomId, body).then(
        () => written.push(body),
        (error: unknown) => expect(String(error)).toMatch(/fault|could not be stored/),
      )
    }
    for (let round = 0; round < 15; round += 1) {
      const sends = Array.from({ length: 4 }, (_, index) =>
        write(chance() < 0.5 ? alice : bob, `${round}.${index}`),
      )
      if (chance() < 0.5) await Promise.all(sends)
      if (chance() < 0.5) await network.pass(1_000)
      await Promise.all(sends)
    }
    failing = false
    await network.pass(3_600_000)
    await say(alice, roomId, 'last')
    await network.settle()
    expect(faults).toBeGreaterThan(3)
    for (const node of [alice, bob]) {
      expect((await bodies(node, roomId)).map(String).toSorted()).toEqual([...written, 'last'].toSorted())
      await expectAncestorsFirst(node, roomId)
    }
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
    await network.pass(60_000)
    expect(network.clock.waiting).toBe(0)
  })
})

describe('two nodes that die at random', { timeout: 60_000 }, () => {
  it.each(Array.from({ length: 8 }, (_, index) => index + 1))(
    'lose nothing acknowledged (seed %i)',
    async (seed) => {
      const random = createSeededRandom(seed)
      const network = createBareNetwork()
      let crashing = false
      let crashes = 0
      const inbox: string[] = []
      const handler: EduHandler = async (_, content) => ({
        writes: (position) => [
          { map: 'inbox', key: String(position).padStart(9, '0'), value: JSON.stringify(content['id']) },
        ],
      })
      const handlers = new Map([['m.direct_to_device', handler]])
      const disks = [1, 2].map(() =>
        createMemoryDisk({
          losesPower: false,
          fault: () => {
            if (!crashing || !random.chance(0.06)) return 'none'
            crashes += 1
            return random.chance(0.5) ? 'crash-before' : 'crash-after'
          },
        }),
      ) as [MemoryDisk, MemoryDisk]
      const nodes: BareNode[] = []
      const start = async (index: number): Promise<void> => {
        const store = await openMemoryStore(disks[index] as MemoryDisk)
        const node = await network.add(index === 0 ? 'alice' : 'bob', { store, seed: index + 1, handlers })
        nodes[index] = node
        await node.staging.resume()
        node.outbox.resume()
      }
      await start(0)
      await start(1)
      const roomId = await createRoom(nodes[0] as BareNode)
      await bringIn(network, nodes[0] as BareNode, nodes[1] as BareNode, roomId)
      crashing = true
      const acknowledged: string[] = []
      const tried = new Set<string>()
      const queued: number[] = []
      for (let round = 0; round < 60; round += 1) {
        const index = random.below(2)
        const node = nodes[index] as BareNode
        const other = nodes[1 - index] as BareNode
        const body = String(round)
        tried.add(body)
        const id = round + 1
        const edu = { edu_type: 'm.direct_to_device', content: { id } }
        try {
          await say(node, roomId, body)
          acknowledged.push(body)
          if (index === 0) {
            await node.committer.submit({ writes: () => node.outbox.outbox.queueDurable(other.name, edu) })
            queued.push(id)
          }
          if (random.chance(0.3)) await network.pass(2_000)
        } catch (error) {
          expect(String(error)).toMatch(/fault|killed|closed|could not be stored/)
        }
        for (const which of [0, 1]) {
          const dead = await (nodes[which] as BareNode).store.get('x', 'x').then(
            () => false,
            () => true,
          )
          if (dead) await start(which)
        }
      }
      crashing = false
      for (const which of [0, 1]) await start(which)
      await network.pass(1_800_000)
      await say(nodes[0] as BareNode, roomId, 'last')
      await network.settle()
      expect(crashes).toBeGreaterThan(2)
      const [alice, bob] = nodes as [BareNode, BareNode]
      for (const node of [alice, bob]) {
        const said = (await bodies(node, roomId)).map(String)
        expect(new Set(said).size).toBe(said.length)
        for (const body of [...acknowledged, 'last']) expect(said).toContain(body)
        for (const body of said) expect(body === 'last' || tried.has(body)).toBe(true)
        await expectAncestorsFirst(node, roomId)
      }
      expect((await bodies(bob, roomId)).map(String).toSorted()).toEqual(
        (await bodies(alice, roomId)).map(String).toSorted(),
      )
      expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
      for (const [, value] of await bob.store.range('inbox', '', '\u00ff')) inbox.push(value)
      expect([...new Set(inbox)]).toEqual(inbox)
      for (const id of queued) expect(inbox).toContain(String(id))
      expect(inbox).toEqual(inbox.toSorted((a, b) => Number(a) - Number(b)))
    },
  )
})

describe('a power cut', () => {
  it.each([
    ['by its number', { ordered: { incarnation: 'a', sequence: 3, acknowledged: 0 } }, { committed: 3 }],
    ['to a server that numbers nothing', {}, {}],
  ])('loses no event and no durable EDU that was acknowledged %s', async (_, numbered, acknowledged) => {
    const network = createBareNetwork()
    const disk = createMemoryDisk({ losesPower: true })
    const handler: EduHandler = async (_, content) => ({
      writes: (position) => [
        { map: 'inbox', key: String(position).padStart(9, '0'), value: JSON.stringify(content['id']) },
      ],
    })
    const handlers = new Map([['m.direct_to_device', handler]])
    const alice = await network.add('alice')
    const bob = await network.add('bob', { store: await openMemoryStore(disk), handlers })
    const roomId = await createRoom(alice)
    await bringIn(network, alice, bob, roomId)
    await bob.committer.submit({ durability: 'strict', writes: () => [] })
    network.offline.add(bob.name)
    const ids = [await say(alice, roomId, 'one'), await say(alice, roomId, 'two')]
    const pdus = (await alice.rooms.events(ids)).map((record) => record?.pdu ?? {})
    const edus = [1, 2, 3].map((id) => ({ edu_type: 'm.direct_to_device', content: { id } }))
    const answer = await bob.inbound.transaction({ origin: alice.name, pdus, edus, ...numbered })
    expect(answer).toEqual({ pdus: { [ids[0] ?? '']: {}, [ids[1] ?? '']: {} }, ...acknowledged })
    disk.cutPower()
    const again = await network.add('bob', { store: await openMemoryStore(disk), seed: 2, handlers })
    await again.staging.resume()
    await again.staging.idle()
    expect(await bodies(again, roomId)).toEqual(['one', 'two'])
    expect((await again.store.range('inbox', '', '\u00ff')).map(([, value]) => value)).toEqual([
      '1',
      '2',
      '3',
    ])
  })
  it('loses no join that was answered', async () => {
    const network = createBareNetwork()
    const disk = createMemoryDisk({ losesPower: true })
    const alice = await network.add('alice', await openMemoryStore(disk))
    const bob = await network.add('bob')
    const roomId = await createRoom(alice)
    await alice.rooms.invite(alice.user, roomId, bob.user)
    await bob.rooms.join(bob.user, roomId, { via: [alice.name] })
    disk.cutPower()
    const again = await network.add('alice', { store: await openMemoryStore(disk), seed: 1 })
    expect((await again.rooms.snapshot(roomId))?.joinedServers).toContain(bob.name)
    await say(bob, roomId, 'here')
    await network.settle()
    expect(await bodies(again, roomId)).toEqual(['here'])
  })
})
