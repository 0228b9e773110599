/** History from before a join: every event once, redacted where it is, and nothing that does not belong to it. */
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
import type { EventId, JsonObject, KeyId, Pdu, RoomId, RoomVersion } from '@plexus/core'
import { FederationError } from '@plexus/engine/ports'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import {
  bodies,
  createRoom,
  expectAncestorsFirst,
  make,
  say,
  setTopic,
  timeline,
  TO_END,
} from './rooms-kit.ts'

const version = roomVersion('12') as RoomVersion

describe('history', () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let roomId: RoomId
  let old: EventId[]

  beforeEach(async () => {
    network = createBareNetwork()
    alice = await network.add('alice')
    bob = await network.add('bob')
    roomId = await createRoom(alice, 'public')
    old = []
    for (const body of ['one', 'two', 'three']) old.push(await say(alice, roomId, body))
    await bob.rooms.join(bob.user, roomId, { via: [alice.name] })
    await network.settle()
  })

  it('is placed once when two ask for it at once', async () => {
    await Promise.all(Array.from({ length: 5 }, () => bob.rooms.backfill(roomId, TO_END, 1_000)))
    expect(await bodies(bob, roomId)).toEqual(['one', 'two', 'three'])
    await expectAncestorsFirst(bob, roomId)
  })

  it('is placed once when its events are sent again meanwhile and later', async () => {
    const pdus = (await alice.rooms.events(old)).map((record) => record?.pdu as Pdu)
    await Promise.all([bob.rooms.backfill(roomId, TO_END, 1_000), bob.rooms.receive(alice.name, pdus)])
    await network.settle()
    await bob.rooms.receive(alice.name, pdus)
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['one', 'two', 'three'])
    await expectAncestorsFirst(bob, roomId)
    expect((await bob.rooms.snapshot(roomId))?.heads).toHaveLength(1)
  })

  it('is shown redacted where the redaction is known, whoever tells the whole event', async () => {
    const pdus = (await alice.rooms.events(old)).map((record) => record?.pdu as Pdu)
    await alice.rooms.send(roomId, {
      type: 'm.room.redaction',
      sender: alice.user,
      content: {},
      redacts: old[1] as EventId,
    })
    await network.settle()
    network.cheats.set(alice.name, {
      backfill: async (_to, room, from, limit) => {
        const honest = await alice.rooms.backfillFor(bob.name, room, from, limit)
        return {
          pdus: honest.map((pdu) => pdus.find((whole) => whole.hashes.sha256 === pdu.hashes.sha256) ?? pdu),
        }
      },
    })
    await bob.rooms.backfill(roomId, TO_END, 1_000)
    expect(await bodies(bob, roomId)).toEqual(['one', undefined, 'three'])
    const record = (await timeline(bob, roomId)).find(({ id }) => id === old[1])
    expect(record?.redactedBy).toBeDefined()
  })

  it.each([
    ['that nothing is known of', 0],
    ['that the join follows', 2],
  ])('is not shown as new when somebody sends an old event again, %s', async (_, which) => {
    const pdu = (await alice.rooms.event(old[which] as EventId))?.pdu as Pdu
    await bob.rooms.receive(alice.name, [pdu])
    await network.pass(10_000)
    await say(alice, roomId, 'new')
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['new'])
    expect((await bob.rooms.snapshot(roomId))?.heads).toHaveLength(1)
    expect(await bob.store.range('staged', '', '\u00ff')).toEqual([])
    await bob.rooms.backfill(roomId, TO_END, 1_000)
    expect(await bodies(bob, roomId)).toEqual(['one', 'two', 'three', 'new'])
    await expectAncestorsFirst(bob, roomId)
  })

  it('is passed on as what held at its time allows, however much is shown now', async () => {
    const room = await createRoom(alice, 'public')
    const show = (value: string): Promise<EventId> =>
      alice.rooms.send(room, {
        type: 'm.room.history_visibility',
        stateKey: '',
        sender: alice.user,
        content: { history_visibility: value },
      })
    const said: EventId[] = [await say(alice, room, 'by default')]
    await show('joined')
    said.push(await say(alice, room, 'among us'))
    await show('shared')
    said.push(await say(alice, room, 'to all'))
    await bob.rooms.join(bob.user, room, { via: [alice.name] })
    // Bob's server was in the room in those days, for what Alice's knows.
    network.cheats.set(alice.name, {
      backfill: async (_to, asked, from, limit) => {
        const pdus = await alice.rooms.backfillFor(alice.name, asked, from, limit)
        return { pdus }
      },
    })
    await bob.rooms.backfill(room, TO_END, 1_000)
    expect(await bodies(bob, room)).toEqual(['by default', 'among us', 'to all'])
    const carol = await network.add('carol')
    await carol.rooms.join(carol.user, room, { via: [bob.name] })
    await network.settle()
    const texts = async (): Promise<unknown[]> =>
      Promise.all(said.map(async (id) => (await bob.rooms.eventFor(carol.name, id)).content['body']))
    expect(await texts()).toEqual(['by default', undefined, 'to all'])
    const from = (await bob.rooms.snapshot(room))?.heads ?? []
    const page = await bob.rooms.backfillFor(carol.name, room, from, 100)
    expect(
      page.filter(({ type }) => type === 'm.room.message').map(({ content }) => content['body']),
    ).toEqual(['to all', undefined, 'by default'])
  })

  it('is not shown as new when its state events are sent again', async () => {
    const rules = (await alice.rooms.snapshot(roomId))?.state.get(
      stateKey('m.room.join_rules', ''),
    ) as EventId
    const before = (await bob.rooms.snapshot(roomId))?.lastPosition
    await bob.rooms.receive(alice.name, [(await alice.rooms.event(rules))?.pdu as Pdu])
    await network.pass(10_000)
    expect((await bob.rooms.event(rules))?.order).toBeUndefined()
    expect((await bob.rooms.snapshot(roomId))?.lastPosition).toBe(before)
  })

  it('takes nothing that the known events do not follow', async () => {
    const state = (await alice.rooms.snapshot(roomId))?.state
    const bare = buildEvent(version, {
      template: { type: 'm.room.message', sender: alice.user, content: { body: 'slipped in' } },
      roomId,
      prevEvents: [{ reference: old[0] as EventId, depth: 5 }],
      authEvents: [stateKey('m.room.power_levels', ''), memberKey(alice.user)].flatMap(
        (key) => state?.get(key) ?? [],
      ),
      now: 1_700_000_000_000,
    })
    const signature = encodeBase64(await alice.signer.sign(signingBytes(version, bare)))
    const slipped = withSignature(bare, alice.name, alice.signer.keyId as KeyId, signature)
    const other = await createRoom(alice)
    const foreign = await alice.rooms.event(await say(alice, other, 'foreign'))
    network.cheats.set(alice.name, {
      backfill: async (_to, room, from, limit) => ({
        pdus: [
          slipped,
          foreign?.pdu as Pdu,
          {},
          ...(await alice.rooms.backfillFor(bob.name, room, from, limit)),
        ],
      }),
    })
    await bob.rooms.backfill(roomId, TO_END, 1_000)
    expect(await bodies(bob, roomId)).toEqual(['one', 'two', 'three'])
    expect(await bob.rooms.event(eventIdOf(version, slipped))).toBeUndefined()
  })

  it('is asked for a bounded number of times, whatever the answers', async () => {
    let asked = 0
    const empty = async (): Promise<{ pdus: JsonObject[] }> => {
      asked += 1
      return { pdus: [] }
    }
    network.cheats.set(alice.name, { backfill: empty })
    await bob.rooms.backfill(roomId, TO_END, 1_000)
    expect(asked).toBeLessThanOrEqual(4)
    expect(await bodies(bob, roomId)).toEqual([])
    network.cheats.clear()
    await bob.rooms.backfill(roomId, TO_END, 1_000)
    expect(await bodies(bob, roomId)).toEqual(['one', 'two', 'three'])
  })

  it('goes on below a state event that was known already', async () => {
    await setTopic(alice, roomId, 'known as state')
    for (let index = 0; index < 100; index += 1) await say(alice, roomId, String(index))
    const carol = await network.add('carol')
    await carol.rooms.join(carol.user, roomId, { via: [alice.name] })
    for (let page = 0; page < 5; page += 1) await carol.rooms.backfill(roomId, TO_END, 1_000)
    expect((await bodies(carol, roomId)).slice(0, 4)).toEqual(['one', 'two', 'three', '0'])
    expect((await timeline(carol, roomId))[0]?.pdu.type).toBe('m.room.create')
    await expectAncestorsFirst(carol, roomId)
  })

  it.each([
    ['is of an earlier stay', false],
    ['was taken for new', true],
  ])('keeps nothing out that was said beside a second join, where what lies before %s', async (_, isNew) => {
    const refused = (): never => {
      throw new FederationError({ status: 404, errcode: 'M_NOT_FOUND', error: 'no' })
    }
    await bob.rooms.leave(bob.user, roomId)
    await network.settle()
    const [early, late] = [await say(alice, roomId, 'early'), await say(alice, roomId, 'late')]
    const [first, last] = await alice.rooms.events([early, late])
    network.cheats.set(alice.name, { getMissingEvents: async () => ({ events: [] }), backfill: refused })
    await bob.rooms.join(bob.user, roomId, { via: [alice.name] })
    if (isNew) await bob.rooms.receive(alice.name, [first?.pdu as Pdu])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(isNew ? ['early'] : [])
    // A server may tell less than it has.
    const events = [last?.pdu as Pdu, ...(isNew ? [] : [first?.pdu as Pdu])]
    network.cheats.set(alice.name, { getMissingEvents: async () => ({ events }) })
    const beside = await make(alice, alice, roomId, { prev: [late], body: 'beside' })
    for (const node of [alice, bob]) await node.rooms.receive(alice.name, [beside.pdu])
    await network.settle()
    expect((await timeline(bob, roomId)).at(-1)?.id).toBe(beside.id)
  })

  it('is redacted by who may, also when another asks for it in vain', async () => {
    const message = async (redacts: EventId, by: BareNode): Promise<EventId> =>
      by.rooms.send(roomId, { type: 'm.room.redaction', sender: by.user, content: {}, redacts })
    await message(old[1] as EventId, alice)
    await network.settle()
    await message(old[1] as EventId, bob)
    await bob.rooms.backfill(roomId, TO_END, 1_000)
    expect(await bodies(bob, roomId)).toEqual(['one', undefined, 'three'])
  })

  it('comes from whoever is here', async () => {
    const others: BareNode[] = []
    for (let index = 0; index < 8; index += 1) {
      const node = await network.add(`n${index}`)
      await node.rooms.join(node.user, roomId, { via: [alice.name] })
      others.push(node)
    }
    await network.settle()
    for (const node of others) network.offline.add(node.name)
    for (let attempt = 0; attempt < 12 && (await bodies(bob, roomId)).length === 0; attempt += 1)
      await bob.rooms.backfill(roomId, TO_END, 1_000)
    expect(await bodies(bob, roomId)).toEqual(['one', 'two', 'three'])
  })
})
