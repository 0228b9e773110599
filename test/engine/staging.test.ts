/** Events of other servers on their way into a room: when they are on disk, decided, and answered for. */
import type { EventId, Pdu, RoomId } from '@plexus/core'
import type { Store } from '@plexus/engine/ports'
import { createMemoryDisk, openMemoryStore, type Fault } from '@plexus/store/memory'
import { beforeEach, describe, expect, it } from 'vitest'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'
import { bodies, bringIn, make, nowhere, say } from './rooms-kit.ts'
import { createStagingWorld, never, turns, until } from './staging-kit.ts'

describe('staging', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let mallory: BareNode
  let roomId: RoomId
  let bobStore: Store

  beforeEach(async () => {
    ;({ network, alice, bob, mallory, roomId, bobStore } = await createStagingWorld())
  })

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

  it('holds what waits also where a timer of what waited before is left', async () => {
    const waiting = async (n: number): Promise<readonly [EventId, Pdu, Pdu]> => {
      const before = await make(mallory, mallory, roomId, { body: `before ${n}` })
      const after = await make(mallory, mallory, roomId, { prev: [before.id], body: `after ${n}` })
      return [after.id, before.pdu, after.pdu]
    }
    const [, before, after] = await waiting(0)
    await bob.rooms.receive(mallory.name, [after])
    await network.pass(10)
    await bob.rooms.receive(mallory.name, [before])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['before 0', 'after 0'])
    const [id, , lasting] = await waiting(1)
    await bob.rooms.receive(mallory.name, [lasting])
    await network.pass(60_000)
    expect(bob.staging.holds(roomId, id)).toBe(true)
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
})
