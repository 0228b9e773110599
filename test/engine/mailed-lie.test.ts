/** An invite by mail whose sender packs another state of the room than its members know. */
import type { EventId, JsonObject, Pdu } from '@plexus/core'
import { stateKey } from '@plexus/core'
import { afterEach, describe, expect, it } from 'vitest'
import type { Member, TestNetwork } from '../kit/node.ts'
import { contactKit, inviteEdu } from './contact-kit.ts'
import { createMailNetwork, MINUTE, type MailNetwork } from './mail-kit.ts'
import { bringIn, createRoom, say, stateOf } from '../server-api/room.ts'

const TOPIC = stateKey('m.room.topic', '')

describe('an invite by mail', () => {
  let world: MailNetwork
  const network = (): TestNetwork => world.network
  const { pass, setAway, turnOf, invite, join, tell } = contactKit(() => world)
  afterEach(() => network().close())

  it('that tells an old state leads to what two members tell alike, as does all that follows it', async () => {
    const made = await createMailNetwork(['alice', 'bob', 'carol', 'dave'], 2)
    world = made
    const [alice, bob, carol, dave] = network().members as [Member, Member, Member, Member]
    await network().pass(3_000)
    const roomId = await createRoom(alice)
    for (const guest of [carol, dave]) await bringIn(alice, guest, roomId)
    const topicIn = async (member: Member): Promise<EventId | undefined> =>
      (await member.node.engine.rooms.snapshot(roomId))?.state.get(TOPIC)
    const pduOf = async (member: Member, id: EventId): Promise<Pdu> =>
      (await member.node.engine.rooms.events([id]))[0]?.pdu as Pdu
    for (const topic of ['old', 'new']) {
      const event = { type: 'm.room.topic', stateKey: '', sender: alice.user, content: { topic } }
      await alice.node.engine.rooms.send(roomId, event)
    }
    await pass(MINUTE)
    const topic = await pduOf(alice, (await topicIn(dave)) as EventId)
    for (const relay of made.all) relay.lie = () => []
    setAway(bob, true)
    await invite(alice, bob, roomId)
    const [row] = await alice.node.store.range('edu', '', '\u00ff')
    const mailed = (JSON.parse(row?.[1] ?? '') as { content: JsonObject }).content
    const old = await pduOf(alice, topic.prev_events[0] as EventId)
    expect(old.content).toEqual({ topic: 'old' })
    const state = (mailed['state'] as readonly JsonObject[]).map((event) =>
      event['type'] === 'm.room.topic' ? old : event,
    )
    const hello = await say(alice, roomId, 'hello')
    await tell(bob, alice, inviteEdu({ ...mailed, state }))
    await turnOf(bob)
    await join(bob, roomId)
    await bob.node.engine.inbound.transaction({
      origin: alice.node.name,
      pdus: [await pduOf(alice, hello)],
      edus: [],
    })
    await pass(MINUTE)
    const told = await bob.node.engine.rooms.snapshot(roomId)
    expect(told?.isUnconfirmed).toBe(true)
    expect(told?.heads).toContain(hello)
    expect((await pduOf(bob, (await topicIn(bob)) as EventId)).content).toEqual({ topic: 'old' })
    for (const member of [carol, dave]) {
      setAway(member, false)
      bob.node.engine.control.peerAppeared(member.node.name)
    }
    await pass(2 * MINUTE)
    expect((await bob.node.engine.rooms.snapshot(roomId))?.isUnconfirmed).toBeUndefined()
    expect(await stateOf(bob, roomId)).toEqual(await stateOf(dave, roomId))
    const before = async ({ node }: Member): Promise<readonly EventId[]> =>
      (await node.engine.rooms.stateFor(carol.node.name, roomId, hello)).stateIds.toSorted()
    expect(await before(bob)).toEqual(await before(dave))
  })

  it('of who has the state from one other alone says so, and is no word that confirms it', async () => {
    world = await createMailNetwork(['alice', 'bob', 'carol', 'dave'], 2)
    const [alice, bob, carol, dave] = network().members as [Member, Member, Member, Member]
    await network().pass(3_000)
    const roomId = await createRoom(alice)
    await bringIn(alice, carol, roomId)
    setAway(carol, true)
    await bringIn(alice, dave, roomId)
    const isUnconfirmed = async ({ node }: Member): Promise<boolean> =>
      (await node.engine.rooms.snapshot(roomId))?.isUnconfirmed === true
    expect(await isUnconfirmed(dave)).toBe(true)
    await pass(MINUTE)
    setAway(bob, true)
    await invite(dave, bob, roomId)
    setAway(alice, true)
    await turnOf(bob)
    await join(bob, roomId)
    expect(await isUnconfirmed(bob)).toBe(true)
    const [row] = await bob.node.store.range('partial', '', '\u00ff')
    expect(JSON.parse(row?.[1] ?? '')).toMatchObject({ unconfirmed: { words: [] } })
  })
})
