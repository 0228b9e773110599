/** Events of other servers on their way into a room: what hostile ones cost, and what honest ones keep. */
import { eventIdOf, prevEventIds, roomVersion } from '@plexus/core'
import type { EventId, JsonObject, Pdu, RoomId, RoomVersion } from '@plexus/core'
import type { Store } from '@plexus/engine/ports'
import { GAP_BATCH, LAST_RETRY_MS, MAX_GAP_BYTES } from '@plexus/engine/testing'
import { createMemoryDisk, createMemoryStore, openMemoryStore, type Fault } from '@plexus/store/memory'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import {
  bodies,
  bringIn,
  createRoom,
  expectAncestorsFirst,
  make,
  nowhere,
  say,
  setTopic,
  stateText,
} from './rooms-kit.ts'

const version = roomVersion('12') as RoomVersion

const never = <T>(): Promise<T> => new Promise<T>(() => undefined)

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000
  while (!(await done())) {
    if (performance.now() > end) throw new Error('what was waited for did not come')
    await turns(1)
  }
}

describe('staging', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let mallory: BareNode
  let roomId: RoomId
  let bobStore: Store
  let reads: string[]

  beforeEach(async () => {
    network = createBareNetwork()
    const store = await createMemoryStore()
    reads = []
    bobStore = {
      ...store,
      get: (map, key) => (reads.push(`get ${map}`), store.get(map, key)),
      getMany: (map, keys) => (reads.push(`getMany ${map} ${keys.length}`), store.getMany(map, keys)),
      range: (map, lo, hi, options) => (reads.push(`range ${map}`), store.range(map, lo, hi, options)),
    }
    alice = await network.add('alice')
    bob = await network.add('bob', bobStore)
    mallory = await network.add('mallory')
    roomId = await createRoom(alice)
    await bringIn(network, alice, bob, roomId)
    await bringIn(network, alice, mallory, roomId)
  })

  /** A node on a disk that tells what each commit writes, and can hold them up. */
  const addCarol = async (): Promise<{
    readonly carol: BareNode
    readonly commits: string[]
    /** Opens the next gate. */
    readonly pass: () => void
    readonly close: () => void
    readonly said: (count: number) => Promise<readonly [ids: readonly EventId[], pdus: readonly Pdu[]]>
  }> => {
    const commits: string[] = []
    const gates: ((fault: Fault) => void)[] = []
    let gated = false
    const disk = createMemoryDisk({
      fault: ({ writes, durability }) => {
        const countOf = (map: string): number => writes.filter((write) => write.map === map).length
        commits.push(`${durability}: event ${countOf('event')}, staged ${countOf('staged')}`)
        return gated ? new Promise<Fault>((resolve) => gates.push(resolve)) : 'none'
      },
    })
    const carol = await network.add('carol', await openMemoryStore(disk))
    await bringIn(network, alice, carol, roomId)
    network.offline.add(carol.name)
    commits.length = 0
    return {
      carol,
      commits,
      pass: () => {
        gated = false
        gates.shift()?.('none')
      },
      close: () => (gated = true),
      async said(count) {
        const ids: EventId[] = []
        while (ids.length < count) ids.push(await say(alice, roomId, `${ids.length}`))
        return [ids, (await alice.rooms.events(ids)).map((record) => record?.pdu as Pdu)]
      },
    }
  }

  it('commits what misses nothing once, decided, before it answers', async () => {
    const { carol, commits, said } = await addCarol()
    const [, pdus] = await said(3)
    await carol.rooms.receive(alice.name, pdus)
    expect(await bodies(carol, roomId)).toEqual(['0', '1', '2'])
    expect(commits).toEqual(['strict: event 3, staged 0'])
  })

  it('stages what misses something, beside what is decided', async () => {
    const { carol, commits, said } = await addCarol()
    const [, [first, missed, last]] = await said(3)
    await carol.rooms.receive(alice.name, [first, last] as Pdu[])
    expect(commits).toEqual(['strict: event 1, staged 1'])
    await carol.rooms.receive(alice.name, [missed as Pdu])
    await carol.staging.idle()
    expect(await bodies(carol, roomId)).toEqual(['0', '1', '2'])
    expect(commits.slice(1)).toEqual(['strict: event 1, staged 0', 'relaxed: event 1, staged 1'])
  })

  it('answers before it decided everything where that takes long', async () => {
    const { carol, commits, said } = await addCarol()
    // Each look at the clock of the kit takes a millisecond.
    const [ids, pdus] = await said(60)
    await carol.rooms.receive(alice.name, pdus)
    const decided = Number(commits[0]?.match(/event (\d+)/)?.[1])
    expect(decided).toBeGreaterThan(0)
    expect(commits[0]).toBe(`strict: event ${decided}, staged ${60 - decided}`)
    expect(decided).toBeLessThan(60)
    await carol.staging.idle()
    expect(await bodies(carol, roomId)).toEqual(ids.map((_, index) => `${index}`))
  })

  it('acknowledges no copy of an event before the event is on disk', async () => {
    const { carol, commits, said, pass, close } = await addCarol()
    const [, pdus] = await said(2)
    close()
    let answered = 0
    const receive = async (origin: BareNode): Promise<void> => {
      await carol.rooms.receive(origin.name, pdus)
      answered += 1
    }
    const all = [receive(alice), receive(bob), receive(mallory)]
    await until(() => commits.length === 1)
    await turns(50)
    expect(answered).toBe(0)
    pass()
    await Promise.all(all)
    expect(commits).toEqual(['strict: event 2, staged 0'])
    expect(await bodies(carol, roomId)).toEqual(['0', '1'])
  })

  it('processes what came while it ended to process something else', async () => {
    const gates: ((fault: Fault) => void)[] = []
    let gated = false
    const disk = createMemoryDisk({
      fault: () => (gated ? new Promise<Fault>((resolve) => gates.push(resolve)) : 'none'),
    })
    const carol = await network.add('carol', await openMemoryStore(disk))
    await bringIn(network, alice, carol, roomId)
    network.offline.add(carol.name)
    const ids = [await say(alice, roomId, 'one'), await say(alice, roomId, 'two')]
    const [one, two] = (await alice.rooms.events(ids)).map((record) => record?.pdu as Pdu) as [Pdu, Pdu]
    gated = true
    const first = carol.rooms.receive(alice.name, [one])
    await until(() => gates.length === 1)
    const second = carol.rooms.receive(alice.name, [two])
    await turns(50)
    gates[0]?.('none')
    await until(() => gates.length === 2)
    // The second is being written while the first is decided, with nothing else waiting.
    await turns(50)
    gated = false
    gates[1]?.('none')
    await Promise.all([first, second])
    network.offline.delete(carol.name)
    await network.settle()
    expect(await bodies(carol, roomId)).toEqual(['one', 'two'])
  })

  it('decides honest events at once, whatever undecidable ones wait and however silent their server is', async () => {
    network.cheats.set(mallory.name, { getMissingEvents: never, backfill: never, event: never })
    const hostile = await Promise.all(
      Array.from({ length: 500 }, (_, index) =>
        make(mallory, alice, roomId, { prev: [nowhere(index)], body: `hostile ${index}` }),
      ),
    )
    for (let start = 0; start < hostile.length; start += 50) {
      const pdus = hostile.slice(start, start + 50).map(({ pdu }) => pdu)
      await bob.rooms.receive(mallory.name, pdus)
    }
    await until(() => bob.calls.includes(`getMissingEvents ${mallory.name}`))
    reads.length = 0
    const calls = bob.calls.length
    for (let index = 0; index < 20; index += 1) await say(alice, roomId, `honest ${index}`)
    await until(async () => (await bodies(bob, roomId)).length === 20)
    expect(bob.calls.length - calls).toBeLessThan(10)
    expect(reads.filter((read) => !read.includes('timeline')).length).toBeLessThan(100)
  })

  it('fills the gap of an honest server after one of a hostile one that has hundreds', async () => {
    const waiting: (() => void)[] = []
    network.cheats.set(mallory.name, {
      getMissingEvents: () => new Promise((_, reject) => waiting.push(() => reject(new Error('too late')))),
    })
    const hostile = await Promise.all(
      Array.from({ length: 50 }, (_, index) => make(mallory, alice, roomId, { prev: [nowhere(index)] })),
    )
    await bob.rooms.receive(
      mallory.name,
      hostile.map(({ pdu }) => pdu),
    )
    await until(() => waiting.length === 1)
    network.offline.add(bob.name)
    await say(alice, roomId, 'missed')
    const id = await say(alice, roomId, 'newest')
    await turns(20)
    network.offline.delete(bob.name)
    await bob.rooms.receive(alice.name, [(await alice.rooms.event(id))?.pdu as Pdu])
    expect(await bodies(bob, roomId)).toEqual([])
    waiting[0]?.()
    await until(async () => (await bodies(bob, roomId)).length === 2)
    expect(waiting.length).toBeLessThanOrEqual(2)
  })

  it('fills the gap of an honest server also where a hostile one that has many brought its event first', async () => {
    network.cheats.set(mallory.name, {
      getMissingEvents: () => Promise.reject(new Error('no')),
      event: () => Promise.reject(new Error('no')),
    })
    network.offline.add(bob.name)
    await say(alice, roomId, 'missed')
    const id = await say(alice, roomId, 'newest')
    await network.settle()
    network.offline.delete(bob.name)
    network.offline.add(alice.name)
    const hostile = await Promise.all(
      Array.from({ length: 50 }, (_, index) => make(mallory, alice, roomId, { prev: [nowhere(index)] })),
    )
    const { pdu } = (await alice.rooms.event(id)) ?? {}
    await bob.rooms.receive(mallory.name, [...hostile.map((made) => made.pdu), pdu as Pdu])
    await network.pass(3 * LAST_RETRY_MS)
    network.offline.delete(alice.name)
    await bob.rooms.receive(alice.name, [pdu as Pdu])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['missed', 'newest'])
    expect(bob.staging.holds(roomId, id)).toBe(false)
  })

  it('asks little for the gaps of a server that nobody can fill', async () => {
    network.cheats.set(mallory.name, {
      getMissingEvents: async () => ({ events: [] }),
      backfill: async () => ({ pdus: [] }),
      state: async () => ({ pdus: [], authChain: [] }),
      stateIds: () => Promise.reject(new Error('no')),
    })
    const hostile = await Promise.all(
      Array.from({ length: 200 }, (_, index) => make(mallory, alice, roomId, { prev: [nowhere(index)] })),
    )
    for (let start = 0; start < hostile.length; start += 50) {
      const pdus = hostile.slice(start, start + 50).map(({ pdu }) => pdu)
      await bob.rooms.receive(mallory.name, pdus)
    }
    const before = bob.calls.length
    await network.pass(3_600_000)
    // Five gaps after each of the 14 pauses of 1, 2, 4, … 900 seconds, at most four requests to each of two others.
    expect(bob.calls.length - before).toBeLessThanOrEqual(15 * 5 * 4 * 2)
    expect(network.clock.waiting).toBe(1)
  })

  it('bounds what one server can have wait, and keeps no other out', async () => {
    network.cheats.set(mallory.name, { getMissingEvents: never })
    network.cheats.set(alice.name, { getMissingEvents: never })
    const send = async (count: number, from: number): Promise<void> => {
      const made = await Promise.all(
        Array.from({ length: count }, (_, index) =>
          make(mallory, alice, roomId, { prev: [nowhere(from + index)] }),
        ),
      )
      await bob.rooms.receive(
        mallory.name,
        made.map(({ pdu }) => pdu),
      )
    }
    for (let from = 0; from < 1_000; from += 50) await send(50, from)
    await expect(send(1, 1_000)).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
    await say(alice, roomId, 'honest')
    await until(async () => (await bodies(bob, roomId)).length === 1)
    // After a day in vain the old ones make room for new ones.
    const dayAfter = network.clock.now() + 86_400_001
    while (network.clock.fire(dayAfter));
    await send(50, 2_000)
    await expect(send(50, 3_000)).resolves.toBeUndefined()
  })

  it('bounds the bytes that one server can have wait, in all rooms together', async () => {
    network.cheats.set(mallory.name, { getMissingEvents: never })
    const second = await createRoom(alice)
    await bringIn(network, alice, bob, second)
    await bringIn(network, alice, mallory, second)
    const big = 'x'.repeat(50_000)
    let taken = 0
    const send = async (room: RoomId, from: number): Promise<void> => {
      const made = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          make(mallory, alice, room, { prev: [nowhere(from + index)], body: big }),
        ),
      )
      await bob.rooms.receive(
        mallory.name,
        made.map(({ pdu }) => pdu),
      )
      taken += 50
    }
    const fill = async (): Promise<void> => {
      for (let from = 0; from < 1_000; from += 50) await send(from % 100 === 0 ? roomId : second, from)
    }
    await expect(fill()).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
    expect(taken).toBe(300)
    // Nor by whole copies of events that it brought as redacted ones.
    const made = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        make(mallory, alice, roomId, { prev: [nowhere(2_000 + index)], body: big }),
      ),
    )
    await bob.rooms.receive(
      mallory.name,
      made.map(({ pdu }) => ({ ...pdu, content: {} })),
    )
    const whole = made.map(({ pdu }) => pdu)
    await expect(bob.rooms.receive(mallory.name, whole)).rejects.toMatchObject({
      errcode: 'M_LIMIT_EXCEEDED',
    })
    await bob.rooms.receive(alice.name, whole)
    await say(alice, roomId, 'honest')
    await until(async () => (await bodies(bob, roomId)).length === 1)
  })

  it('goes on after an event whose decision fails', async () => {
    const broken = await make(mallory, alice, roomId, { body: 'broken' })
    const getMany = bobStore.getMany.bind(bobStore)
    let failures = 0
    const old = (await alice.rooms.snapshot(roomId))?.heads[0] as EventId
    const poisoned = await make(mallory, alice, roomId, { prev: [old], auth: [nowhere(1)] })
    bobStore.getMany = (map, keys) => {
      if (keys.some((key) => key.includes(nowhere(1)))) {
        failures += 1
        return Promise.reject(new Error('a fault'))
      }
      return getMany(map, keys)
    }
    await bob.rooms.receive(mallory.name, [poisoned.pdu, broken.pdu])
    await until(async () => (await bodies(bob, roomId)).length === 1)
    await until(() => network.complaints.join().includes('could not be decided'))
    expect(failures).toBeGreaterThan(0)
  })

  it('takes a whole copy of an event that waits as a redacted one', async () => {
    network.cheats.set(mallory.name, { getMissingEvents: never })
    network.cheats.set(alice.name, { getMissingEvents: never })
    network.offline.add(bob.name)
    const ids = [await say(alice, roomId, 'first'), await say(alice, roomId, 'second')]
    const [first, second] = (await alice.rooms.events(ids)).map((record) => record?.pdu as Pdu) as [Pdu, Pdu]
    await bob.rooms.receive(mallory.name, [{ ...second, content: { body: 'forged' } }])
    await until(() => bob.calls.includes(`getMissingEvents ${mallory.name}`))
    await bob.rooms.receive(alice.name, [second])
    await bob.rooms.receive(alice.name, [first])
    await until(async () => (await bodies(bob, roomId)).length === 2)
    expect(await bodies(bob, roomId)).toEqual(['first', 'second'])
  })

  it('does not reject an honest event because one member lies about the state before it', async () => {
    network.offline.add(bob.name)
    await setTopic(alice, roomId, 'unknown to bob')
    const id = await say(alice, roomId, 'honest')
    const pdu = (await alice.rooms.event(id))?.pdu as Pdu
    await network.settle()
    network.offline.delete(bob.name)
    network.offline.add(alice.name)
    const lies = (await mallory.rooms.snapshot(roomId))?.create as Pdu
    network.cheats.set(mallory.name, {
      getMissingEvents: async () => ({ events: [] }),
      backfill: async () => ({ pdus: [] }),
      stateIds: async () => ({ pduIds: [eventIdOf(version, lies)], authChainIds: [] }),
    })
    await bob.rooms.receive(mallory.name, [pdu])
    await network.settle()
    expect((await bob.rooms.event(id))?.verdict).toBeUndefined()
    network.offline.delete(alice.name)
    bob.staging.kick(alice.name)
    await network.pass(5_000)
    expect(await bodies(bob, roomId)).toEqual(['honest'])
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })

  it.each([
    ['endless', 100],
    ['overlong', 300],
  ])('bounds what %s answers about a gap cost', async (_, size) => {
    let asked = 0
    let index = 0
    const junk = async (): Promise<readonly JsonObject[]> => {
      asked += 1
      return Promise.all(
        Array.from({ length: size }, async () => {
          index += 1
          return (await make(mallory, alice, roomId, { prev: [nowhere(index)], body: `junk ${index}` })).pdu
        }),
      )
    }
    network.cheats.set(mallory.name, {
      getMissingEvents: async () => ({ events: await junk() }),
      backfill: async () => ({ pdus: await junk() }),
      event: () => Promise.reject(new Error('no')),
      stateIds: () => Promise.reject(new Error('no')),
    })
    const { pdu } = await make(mallory, alice, roomId, { prev: [nowhere(0)] })
    await bob.rooms.receive(mallory.name, [pdu])
    await network.settle()
    expect(asked).toBeLessThanOrEqual(21)
    await say(alice, roomId, 'still works')
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['still works'])
  })

  it('bounds the bytes that are fetched for one gap', async () => {
    const big = 'x'.repeat(60_000)
    const batches = Math.ceil(MAX_GAP_BYTES / (GAP_BATCH * big.length))
    const chain = [await make(mallory, alice, roomId, { prev: [nowhere(0)] })]
    while (chain.length <= batches * GAP_BATCH)
      chain.push(await make(mallory, alice, roomId, { prev: [chain.at(-1)?.id as EventId], body: big }))
    let asked = 0
    const upTo = (last: EventId | undefined): readonly JsonObject[] => {
      const end = chain.findIndex(({ id }) => id === last) + 1
      if (end > 0) asked += 1
      return chain.slice(Math.max(0, end - GAP_BATCH), end).map(({ pdu }) => pdu)
    }
    network.cheats.set(mallory.name, {
      getMissingEvents: async () => ({ events: upTo(chain.at(-1)?.id) }),
      backfill: async (_to, _room, [from]) => ({ pdus: upTo(from) }),
      event: () => Promise.reject(new Error('no')),
      stateIds: () => Promise.reject(new Error('no')),
    })
    const { pdu } = await make(mallory, alice, roomId, { prev: [chain.at(-1)?.id as EventId] })
    await bob.rooms.receive(mallory.name, [pdu])
    await network.settle()
    expect(asked).toBe(batches)
  })

  it('takes nothing of another room, and nothing that is not signed, for a gap', async () => {
    const other = await createRoom(alice)
    const foreign = await alice.rooms.event((await alice.rooms.snapshot(other))?.heads[0] as EventId)
    const { pdu: unsigned, id } = await make(mallory, alice, roomId, { body: 'unsigned' })
    const { pdu } = await make(mallory, alice, roomId, { prev: [id, foreign?.id as EventId] })
    network.cheats.set(mallory.name, {
      getMissingEvents: async () => ({ events: [foreign?.pdu as Pdu, { ...unsigned, signatures: {} }] }),
      backfill: async () => ({ pdus: [foreign?.pdu as Pdu] }),
      stateIds: async () => ({ pduIds: [foreign?.id as EventId], authChainIds: [foreign?.id as EventId] }),
      event: async () => ({ pdus: [foreign?.pdu as Pdu] }),
    })
    await bob.rooms.receive(mallory.name, [pdu])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual([])
    expect(await bob.rooms.event(foreign?.id as EventId)).toBeUndefined()
  })
})

/** Everything after what `reader` knows, as `writer` has it. */
async function newFor(reader: BareNode, writer: BareNode, roomId: RoomId): Promise<readonly Pdu[]> {
  const seen = new Set<EventId>((await reader.rooms.snapshot(roomId))?.heads)
  const queue = [...((await writer.rooms.snapshot(roomId))?.heads ?? [])]
  const all: Pdu[] = []
  for (const id of queue) {
    const record = seen.has(id) ? undefined : await writer.rooms.event(id)
    seen.add(id)
    if (record === undefined) continue
    all.push(record.pdu)
    queue.push(...prevEventIds(record.pdu))
  }
  return all
}

/** Two members write apart and meet, several times, while a third is away. */
async function roomWithForks(): Promise<{
  network: BareNetwork
  writer: BareNode
  reader: BareNode
  roomId: RoomId
}> {
  const network = createBareNetwork()
  const [writer, other, reader] = [
    await network.add('writer'),
    await network.add('other'),
    await network.add('reader'),
  ]
  const roomId = await createRoom(writer)
  await bringIn(network, writer, other, roomId)
  await bringIn(network, writer, reader, roomId)
  network.offline.add(reader.name)
  for (let round = 0; round < 4; round += 1) {
    network.offline.add(other.name)
    await setTopic(writer, roomId, `topic ${round}`)
    await say(other, roomId, `other ${round}`)
    await say(writer, roomId, `writer ${round}`)
    network.offline.delete(other.name)
    for (const { outbox } of [writer, other]) outbox.outbox.kick([writer.name, other.name], true)
    await network.settle()
  }
  await say(writer, roomId, 'last')
  await network.settle()
  return { network, writer, reader, roomId }
}

describe('the events of one room', { timeout: 60_000 }, () => {
  it('make the same room in whatever order, batches and repetitions they come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.nat(1_000)),
        fc.integer({ min: 1, max: 12 }),
        async (lots, size) => {
          const { network, writer, reader, roomId } = await roomWithForks()
          const all = await newFor(reader, writer, roomId)
          expect(all.length).toBeGreaterThan(12)
          const doubled = [...all, ...all.filter((_, index) => index % 3 === 0)]
          const shuffled = doubled
            .map((pdu) => ({ pdu, lot: lots.next().value ?? 0 }))
            .toSorted((a, b) => a.lot - b.lot)
            .map(({ pdu }) => pdu)
          // The writer is away: nothing but what is delivered is there to decide with.
          network.offline.add(writer.name)
          for (let start = 0; start < shuffled.length; start += size) {
            await reader.rooms.receive(writer.name, shuffled.slice(start, start + size))
          }
          await network.settle()
          expect((await bodies(reader, roomId)).map(String).toSorted()).toEqual(
            (await bodies(writer, roomId)).map(String).toSorted(),
          )
          await expectAncestorsFirst(reader, roomId)
          expect(await stateText(reader, roomId)).toBe(await stateText(writer, roomId))
          expect((await reader.rooms.snapshot(roomId))?.heads).toEqual(
            (await writer.rooms.snapshot(roomId))?.heads,
          )
          expect(await reader.store.range('staged', '', '\u00ff')).toEqual([])
        },
      ),
      { numRuns: 12 },
    )
  })
})
