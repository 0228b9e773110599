/** What a member claims about the state of a room: it counts through resolution, or not at all. */
import { eventIdOf, memberKey, roomVersion, stateKey } from '@plexus/core'
import type { EventId, RoomId, RoomVersion } from '@plexus/core'
import type { Federation } from '@plexus/engine/ports'
import { FederationError } from '@plexus/engine/ports'
import { LONE_WORD_AFTER_MS } from '@plexus/engine/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { bodies, bringIn, createRoom, make, nowhere, say, setTopic, stateText } from './rooms-kit.ts'

const version = roomVersion('12') as RoomVersion
const TOPIC = stateKey('m.room.topic', '')

describe('what a hostile member claims', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let mallory: BareNode
  /** Says what Mallory says. */
  let trudy: BareNode
  let roomId: RoomId

  beforeEach(async () => {
    network = createBareNetwork()
    alice = await network.add('alice')
    bob = await network.add('bob')
    mallory = await network.add('mallory')
    trudy = await network.add('trudy')
    roomId = await createRoom(alice)
    for (const guest of [bob, mallory, trudy]) await bringIn(network, alice, guest, roomId)
  })

  const topicAt = async (node: BareNode): Promise<EventId | undefined> =>
    (await node.rooms.snapshot(roomId))?.state.get(TOPIC)

  /** Mallory and Trudy withhold events, and tell the state before `before` for that before any event. */
  const lieAbout = (before: EventId): void => {
    const notFound = async (): Promise<never> => {
      throw new FederationError({ status: 404, errcode: 'M_NOT_FOUND', error: 'no' })
    }
    const lies: Partial<Federation> = {
      event: notFound,
      getMissingEvents: async () => ({ events: [] }),
      backfill: async () => ({ pdus: [] }),
      stateIds: async () => {
        const { state } = await alice.rooms.stateFor(bob.name, roomId, before)
        return { pduIds: state.map((pdu) => eventIdOf(version, pdu)), authChainIds: [] }
      },
    }
    for (const { name } of [mallory, trudy]) network.cheats.set(name, lies)
  }

  /** What Mallory shows follows what it hides, and that a name of the room; `told` is the state before them. */
  const hide = async () => {
    await alice.rooms.send(roomId, {
      type: 'm.room.power_levels',
      stateKey: '',
      sender: alice.user,
      content: { users: { [mallory.user]: 50 } },
    })
    await network.settle()
    const name = { type: 'm.room.name', stateKey: '', content: { name: 'secret' } }
    const secret = await make(mallory, mallory, roomId, name)
    const hidden = await make(mallory, mallory, roomId, { prev: [secret.id], body: 'hidden' })
    const shown = await make(mallory, mallory, roomId, { prev: [hidden.id], body: 'shown' })
    const told = [...((await mallory.rooms.snapshot(roomId))?.state.values() ?? [])]
    return { secret, hidden, shown, told }
  }

  it.each([
    ['others answer', true],
    ['the time is not over', false],
  ])('is not believed while nobody else says it and %s', async (_, answered) => {
    const topic = await setTopic(alice, roomId, 'true')
    await network.settle()
    lieAbout(topic)
    network.cheats.delete(trudy.name)
    network.offline.add(alice.name)
    if (!answered) network.offline.add(trudy.name)
    const withheld = await make(mallory, mallory, roomId, { body: 'withheld' })
    const shown = await make(mallory, mallory, roomId, { prev: [withheld.id], body: 'shown' })
    await bob.rooms.receive(mallory.name, [shown.pdu])
    await network.pass(answered ? 4 * LONE_WORD_AFTER_MS : LONE_WORD_AFTER_MS / 2)
    expect(await bodies(bob, roomId)).toEqual([])
    await bob.rooms.receive(mallory.name, [withheld.pdu])
    await network.pass(60_000)
    expect(await bodies(bob, roomId)).toEqual(['withheld', 'shown'])
    expect((await bob.rooms.stateAfter(shown.id))?.get(TOPIC)).toBe(topic)
    expect((await bob.rooms.snapshot(roomId))?.holes).toEqual([])
  })

  it('is not believed because it is the first that is heard after nobody could be reached', async () => {
    const topic = await setTopic(alice, roomId, 'true')
    await network.settle()
    for (const { name } of [alice, mallory, trudy]) network.offline.add(name)
    const withheld = await make(mallory, mallory, roomId, { body: 'withheld' })
    const shown = await make(mallory, mallory, roomId, { prev: [withheld.id], body: 'shown' })
    await bob.rooms.receive(mallory.name, [shown.pdu])
    await network.pass(4 * LONE_WORD_AFTER_MS)
    lieAbout(topic)
    network.cheats.delete(trudy.name)
    network.offline.delete(mallory.name)
    network.offline.delete(trudy.name)
    bob.staging.kick(mallory.name)
    await network.pass(4 * LONE_WORD_AFTER_MS)
    expect(await bodies(bob, roomId)).toEqual([])
  })

  it.each([
    ['only a server says it that did not make the event', true],
    ['no other server answers at all', false],
  ])('stands after a while where %s', async (_, isOther) => {
    const topic = await setTopic(alice, roomId, 'true')
    await network.settle()
    lieAbout(topic)
    network.offline.add(alice.name)
    const [teller, silent] = isOther ? [trudy, mallory] : [mallory, trudy]
    network.cheats.delete(silent.name)
    network.offline.add(silent.name)
    const withheld = await make(mallory, mallory, roomId, { body: 'withheld' })
    const shown = await make(mallory, mallory, roomId, { prev: [withheld.id], body: 'shown' })
    await bob.rooms.receive(teller.name, [shown.pdu])
    await network.pass(LONE_WORD_AFTER_MS / 2)
    expect(await bodies(bob, roomId)).toEqual([])
    await network.pass(2 * LONE_WORD_AFTER_MS)
    expect(await bodies(bob, roomId)).toEqual(['shown'])
    expect(await topicAt(bob)).toBe(topic)
  })

  it('is not kept before an event is decided on it, and does not stand when the node starts again', async () => {
    const topic = await setTopic(alice, roomId, 'true')
    await network.settle()
    lieAbout(topic)
    const groups = async (): Promise<number> =>
      (await bob.store.range('group', '\u0001', '\u00ff')).filter(([key]) => key.includes('claimed')).length
    network.offline.add(alice.name)
    network.offline.add(trudy.name)
    const lies = network.cheats.get(trudy.name) ?? {}
    network.cheats.delete(trudy.name)
    for (let event = 0; event < 3; event += 1) {
      const { pdu } = await make(mallory, mallory, roomId, { prev: [nowhere(event)], body: `${event}` })
      await bob.rooms.receive(mallory.name, [pdu])
    }
    await network.pass(LONE_WORD_AFTER_MS / 2)
    expect(await groups()).toBe(0)
    bob.staging.close()
    await network.pass(LONE_WORD_AFTER_MS)
    const again = await network.add('bob', { store: bob.store, seed: 2 })
    await again.staging.resume()
    await network.pass(LONE_WORD_AFTER_MS / 2)
    expect(await bodies(again, roomId)).toEqual([])
    expect(await groups()).toBe(0)
    network.offline.delete(trudy.name)
    network.cheats.set(trudy.name, lies)
    again.staging.kick(trudy.name)
    await network.pass(60_000)
    expect(await bodies(again, roomId)).toHaveLength(3)
    expect(await groups()).toBe(1)
  })

  it('does not become the present when the event that it withheld comes', async () => {
    const topic = await setTopic(alice, roomId, 'true')
    await network.settle()
    lieAbout(topic)
    network.offline.add(alice.name)
    const withheld = await make(mallory, mallory, roomId, { body: 'withheld' })
    const shown = await make(mallory, mallory, roomId, { prev: [withheld.id], body: 'shown' })
    await bob.rooms.receive(mallory.name, [shown.pdu])
    await network.pass(60_000)
    expect(await bodies(bob, roomId)).toEqual(['shown'])
    expect((await bob.rooms.stateAfter(shown.id))?.get(TOPIC)).toBeUndefined()
    expect(await topicAt(bob)).toBe(topic)

    await bob.rooms.receive(mallory.name, [withheld.pdu])
    await network.pass(60_000)
    expect(await bodies(bob, roomId)).toEqual(['shown', 'withheld'])
    expect(await topicAt(bob)).toBe(topic)
    const after = await make(mallory, mallory, roomId, { prev: [shown.id], body: 'after' })
    await bob.rooms.receive(mallory.name, [after.pdu])
    await network.pass(60_000)
    expect(await bodies(bob, roomId)).toEqual(['shown', 'withheld', 'after'])
    expect(await topicAt(bob)).toBe(topic)
  })

  it('does not become the present by an event that it has refused', async () => {
    const beforePower = await say(alice, roomId, 'before')
    await alice.rooms.send(roomId, {
      type: 'm.room.power_levels',
      stateKey: '',
      sender: alice.user,
      content: { users: { [mallory.user]: 50 } },
    })
    const topic = await setTopic(alice, roomId, 'true')
    await network.settle()
    lieAbout(beforePower)
    network.offline.add(alice.name)
    const withheld = await make(mallory, mallory, roomId, { body: 'withheld' })
    const more = { type: 'm.room.name', stateKey: '', content: { name: 'hers' } }
    const refused = await make(mallory, mallory, roomId, { ...more, prev: [withheld.id] })
    await bob.rooms.receive(mallory.name, [refused.pdu])
    await network.pass(60_000)
    expect(await bob.rooms.event(refused.id)).toMatchObject({ verdict: 'rejected', basis: 'partial' })
    await bob.rooms.receive(mallory.name, [withheld.pdu])
    const after = await make(mallory, mallory, roomId, { prev: [refused.id], body: 'after' })
    await bob.rooms.receive(mallory.name, [after.pdu])
    await network.pass(60_000)
    expect(await bodies(bob, roomId)).toContain('after')
    expect(await topicAt(bob)).toBe(topic)
  })

  it('differently to each does not part those that it is told', async () => {
    const carol = await network.add('carol')
    await bringIn(network, alice, carol, roomId)
    const { secret, shown, told } = await hide()
    for (const [node, pduIds] of [
      [bob, [...told, secret.id]],
      [carol, told],
    ] as const) {
      const gone = async (): Promise<never> => {
        throw new FederationError({ status: 404, errcode: 'M_NOT_FOUND', error: 'no' })
      }
      network.cheats.set(mallory.name, {
        event: async (_server, id) => (id === secret.id ? { pdus: [secret.pdu] } : gone()),
        getMissingEvents: async () => ({ events: [] }),
        backfill: async () => ({ pdus: [] }),
        stateIds: async () => ({ pduIds, authChainIds: [] }),
      })
      for (const other of [alice, bob, carol]) if (other !== node) network.offline.add(other.name)
      await node.rooms.receive(mallory.name, [shown.pdu])
      await network.pass(60_000)
      network.offline.clear()
    }
    await network.pass(600_000)
    await say(alice, roomId, 'after')
    await network.pass(600_000)
    expect(await stateText(bob, roomId)).toBe(await stateText(carol, roomId))
    expect(await stateText(alice, roomId)).toBe(await stateText(carol, roomId))
  })

  it('leaves no head that it spoke for when its event comes without its content', async () => {
    const { secret, hidden, shown, told } = await hide()
    lieAbout(secret.id)
    for (const { name: server } of [mallory, trudy])
      network.cheats.set(server, {
        ...network.cheats.get(server),
        event: async () => ({ pdus: [secret.pdu] }),
        stateIds: async () => ({ pduIds: [...told, secret.id], authChainIds: [] }),
      })
    network.offline.add(alice.name)
    await bob.rooms.receive(mallory.name, [shown.pdu])
    await network.pass(60_000)
    const before = await bob.rooms.snapshot(roomId)
    expect(before?.holes).toEqual([hidden.id])
    await bob.rooms.receive(mallory.name, [secret.pdu])
    await bob.rooms.receive(mallory.name, [{ ...hidden.pdu, content: {} }])
    await network.pass(60_000)
    expect(await bob.rooms.event(hidden.id)).toMatchObject({ verdict: 'accepted', hashMismatch: true })
    const after = await bob.rooms.snapshot(roomId)
    expect(after).toMatchObject({ heads: [shown.id], holes: [] })
    expect(after?.state).toEqual(before?.state)
  })

  it('leaves few holes, and those of others alone', async () => {
    const topic = await setTopic(alice, roomId, 'true')
    await network.settle()
    lieAbout(topic)
    network.offline.add(alice.name)
    for (let event = 0; event < 5; event += 1) {
      const prev = Array.from({ length: 20 }, (_, index) => nowhere(100 * event + index))
      const { pdu } = await make(mallory, mallory, roomId, { prev, body: `${event}` })
      await bob.rooms.receive(mallory.name, [pdu])
      await network.pass(60_000)
    }
    expect(await bodies(bob, roomId)).toHaveLength(5)
    expect((await bob.rooms.snapshot(roomId))?.holes).toHaveLength(10)
  })

  it('is asked for where it tells no history, at the event that it tells alone', async () => {
    const topic = await setTopic(alice, roomId, 'true')
    await network.settle()
    const [first, second] = [await make(mallory, mallory, roomId), nowhere(1)]
    const third = await make(mallory, mallory, roomId, { prev: [first.id], body: 'third' })
    const last = await make(mallory, mallory, roomId, { prev: [third.id, second], body: 'last' })
    const told = new Map([third].map(({ id, pdu }) => [id, pdu]))
    const asked: EventId[] = []
    const refuse = async (): Promise<never> => {
      throw new FederationError({ status: 404, errcode: 'M_UNRECOGNIZED', error: 'no such endpoint' })
    }
    const limited: Partial<Federation> = {
      getMissingEvents: async () => ({ events: [] }),
      backfill: refuse,
      event: async (_server, id) => (told.has(id) ? { pdus: [told.get(id) as never] } : refuse()),
      stateIds: async (_server, _room, id) => {
        asked.push(id)
        const { stateIds: pduIds, authChainIds } = await mallory.rooms.stateFor(mallory.name, roomId, topic)
        return { pduIds: [...pduIds, topic], authChainIds }
      },
    }
    for (const { name } of [mallory, trudy]) network.cheats.set(name, limited)
    network.offline.add(alice.name)
    await bob.rooms.receive(mallory.name, [last.pdu])
    await network.pass(60_000)
    expect(new Set(asked)).toEqual(new Set([third.id, last.id]))
    expect(await bodies(bob, roomId)).toEqual(['third', 'last'])
    expect(await topicAt(bob)).toBe(topic)
  })

  it('is not asked for, nor any history, where auth events alone are missing', async () => {
    const power = { type: 'm.room.power_levels', stateKey: '', content: { users: {}, events_default: 100 } }
    const outlier = await make(mallory, mallory, roomId, power)
    const snapshot = await mallory.rooms.snapshot(roomId)
    const keys = [stateKey('m.room.power_levels', ''), memberKey(mallory.user)]
    const auth = keys.flatMap((key) => snapshot?.state.get(key) ?? [])
    const { id, pdu } = await make(mallory, mallory, roomId, { auth: [...auth, outlier.id] })
    network.cheats.set(mallory.name, { event: async () => ({ pdus: [outlier.pdu] }) })
    bob.calls.length = 0
    await bob.rooms.receive(mallory.name, [pdu])
    await network.pass(60_000)
    expect((await bob.rooms.event(id))?.verdict).toBe('rejected')
    expect(bob.calls.filter((call) => !call.startsWith('send '))).toEqual([`event ${mallory.name}`])
  })

  it('that an event follows one of another room holds up nothing', async () => {
    const other = await createRoom(alice)
    await bringIn(network, alice, bob, other)
    await bringIn(network, alice, mallory, other)
    const foreign = await say(alice, other, 'of another room')
    await network.settle()
    // It must not be found to be there and to be missing in turn: that would never end.
    const { pdu } = await make(mallory, alice, roomId, { prev: [foreign], body: 'astray' })
    await bob.rooms.receive(mallory.name, [pdu])
    await network.pass(60_000)
    await say(alice, roomId, 'still works')
    await network.settle()
    expect(await bodies(bob, roomId)).toContain('still works')
  })
})
