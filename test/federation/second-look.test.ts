/**
 * Who joins while one member alone answers, or some that tell different states, hears the others later. DESIGN section 4:
 * the state that a resident server tells "is compared with a second member's where there is one".
 */
import { memberKey, parseServerName } from '@plexus/core'
import type { EventId, JsonObject, Pdu, RoomId, ServerName } from '@plexus/core'
import { CarrierError, type Federation } from '@plexus/engine/ports'
import {
  HEARD_PAUSE_MS,
  LONE_WORD_AFTER_MS,
  MAX_OTHERS,
  MAX_TELLERS,
  MAX_UNCONFIRMED_MS,
} from '@plexus/engine/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'
import { bodies, initialState, membershipAt, say, stateText } from '../engine/rooms-kit.ts'
import { createLookedAt, DAY_MS, type LookedAt } from './second-look-kit.ts'

describe('a state that no two members told', { timeout: 30_000 }, () => {
  let kit: LookedAt
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let carol: BareNode
  let dave: BareNode
  let mallory: BareNode
  let roomId: RoomId

  beforeEach(async () => {
    kit = await createLookedAt()
    ;({ network, alice, bob, carol, dave, mallory, roomId } = kit)
  })

  it('counts at once, for reading and writing, and gives way to what two others tell', async () => {
    await kit.hideBan()
    kit.away(alice, carol, dave)
    await kit.join()
    expect(await kit.isUnconfirmed()).toBe(true)
    expect((await bob.rooms.snapshot(roomId))?.isPartial).toBeUndefined()
    expect(await bob.rooms.whole(roomId)).toBe(true)
    await say(bob, roomId, 'hello')
    await kit.spam()
    expect(await bodies(bob, roomId)).toEqual(['hello', 'spam'])
    kit.appear(bob, alice)
    await network.pass(30_000)
    // One more word is no more than that of the first.
    expect(await membershipAt(bob, roomId, carol.user)).toBe('join')
    kit.appear(bob, dave)
    await network.pass(30_000)
    await kit.expectTruth()
    expect(await bodies(bob, roomId)).toEqual(['hello'])
    await say(dave, roomId, 'she is banned')
    await network.pass(60_000)
    expect(await bodies(bob, roomId)).toEqual(['hello', 'she is banned'])
    await kit.expectTruth()
  })

  it('stands, with all that was decided on it, where another tells the same', async () => {
    kit.away(alice, carol, dave)
    await kit.join()
    expect(await kit.isUnconfirmed()).toBe(true)
    const id = await say(bob, roomId, 'hello')
    const before = await bob.rooms.event(id)
    await network.settle()
    const lastPosition = (await bob.rooms.snapshot(roomId))?.lastPosition
    kit.appear(bob, dave)
    await network.pass(30_000)
    expect(await kit.isUnconfirmed()).toBe(false)
    expect(kit.asked(dave)).toBe(1)
    // Nothing happened that a user could see.
    expect((await bob.rooms.snapshot(roomId))?.lastPosition).toBe(lastPosition)
    expect(await bob.rooms.event(id)).toEqual(before)
    for (const table of ['partial', 'provisional']) expect(await kit.stored(table)).toEqual([])
    const made = await bob.rooms.event(await say(bob, roomId, 'more'))
    expect(made?.stateGroup).toBe(before?.stateGroup)
    expect(await bodies(bob, roomId)).toEqual(['hello', 'more'])
  })

  it('is asked of who is heard from, but not each time', async () => {
    kit.away(alice, carol, dave)
    await kit.join()
    await network.pass(DAY_MS)
    // Dave's server can be reached, and tells nothing.
    let questions = 0
    const sendTransaction: Federation['sendTransaction'] = async () => {
      questions += 1
      throw new CarrierError('unreachable', 'gone')
    }
    network.cheats.set(dave.name, { sendTransaction })
    for (let second = 0; second < 600; second += 10) {
      bob.completion.heard(dave.name)
      await network.pass(10_000)
    }
    expect(questions).toBeGreaterThan(1)
    expect(questions).toBeLessThan(6)
    network.cheats.delete(dave.name)
    network.offline.delete(dave.name)
    bob.completion.heard(dave.name)
    await network.pass(HEARD_PAUSE_MS)
    expect(await kit.isUnconfirmed()).toBe(false)
  })

  it('is asked about again after a restart', async () => {
    await kit.hideBan()
    kit.away(alice, carol, dave)
    await kit.join()
    await kit.spam()
    for (const part of [bob.completion, bob.staging, bob.outbox]) part.close()
    const again = await network.add('bob', { store: bob.store, seed: 9 })
    expect(await kit.isUnconfirmed(again)).toBe(true)
    await again.completion.resume()
    kit.appear(again, alice, dave)
    await network.pass(60_000)
    await kit.expectTruth(again)
    expect(await bodies(again, roomId)).toEqual([])
  })

  it('is by the rules what two tell differently, whoever has more power', async () => {
    const users = { [mallory.user]: 50 }
    const levels = { type: 'm.room.power_levels', stateKey: '', sender: alice.user, content: { users } }
    await alice.rooms.send(roomId, levels)
    await kit.hideBan()
    kit.away(alice, carol)
    await kit.join()
    expect(await kit.isUnconfirmed()).toBe(true)
    expect(await membershipAt(bob, roomId, carol.user)).toBe('ban')
    expect(network.complaints.filter((line) => line.includes('tell another state'))).toHaveLength(1)
  })

  /** A room whose members could not join again once it is not public any more. */
  const createPublic = async (users: JsonObject): Promise<void> => {
    const state = initialState(alice.user, 'public').map((event) =>
      event.type === 'm.room.power_levels' ? { ...event, content: { users } } : event,
    )
    kit.roomId = roomId = await alice.rooms.create({
      creator: alice.user,
      version: '11',
      initialState: state,
    })
    for (const guest of [carol, dave, mallory])
      await guest.rooms.join(guest.user, roomId, { via: [alice.name] })
    await network.settle()
  }

  it('is that of who has the most power where two differ and nobody else comes', async () => {
    await createPublic({ [alice.user]: 100 })
    const rule = { type: 'm.room.join_rules', stateKey: '', sender: alice.user }
    await alice.rooms.send(roomId, { ...rule, content: { join_rule: 'invite' } })
    await network.settle()
    await mallory.rooms.invite(mallory.user, roomId, bob.user)
    await network.settle()
    // By a resolution he would fall out: who is not invited cannot join.
    kit.lie((told) => told.filter(({ state_key }) => state_key !== dave.user))
    kit.away(carol, dave)
    await kit.join()
    expect(await kit.isUnconfirmed()).toBe(true)
    expect(await membershipAt(bob, roomId, dave.user)).toBe('join')
    await network.pass(LONE_WORD_AFTER_MS / 2)
    expect(await kit.isUnconfirmed()).toBe(true)
    await network.pass(3 * LONE_WORD_AFTER_MS)
    expect(await kit.isUnconfirmed()).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })

  it('is not that of who had more power, but is banned', async () => {
    await createPublic({ [alice.user]: 100, [mallory.user]: 90, [dave.user]: 50 })
    const send = (type: string, stateKey: string, content: JsonObject): Promise<EventId> =>
      alice.rooms.send(roomId, { type, stateKey, sender: alice.user, content })
    const id = (await alice.rooms.snapshot(roomId))?.state.get(memberKey(mallory.user)) as EventId
    const joined = (await alice.rooms.event(id))?.pdu as Pdu
    await send('m.room.member', mallory.user, { membership: 'ban' })
    await send('m.room.join_rules', '', { join_rule: 'invite' })
    await network.settle()
    await alice.rooms.invite(alice.user, roomId, bob.user)
    await network.settle()
    // She leaves out Carol, who could not join again.
    network.cheats.set(mallory.name, {
      makeMembership: (kind, _to, room, user, versions) =>
        dave.rooms.makeMembership(kind, bob.name, room, user, versions),
      async sendJoin(_to, room, eventId, event) {
        const told = await dave.rooms.acceptMembership('join', bob.name, room, eventId, event)
        const others = told.state.filter((pdu) => pdu.state_key !== carol.user)
        const state = others.map((pdu) => (pdu.state_key === mallory.user ? joined : pdu))
        return structuredClone({ state, authChain: [...told.authChain, ...told.state] })
      },
    })
    kit.away(alice, carol)
    await kit.join()
    expect(await kit.isUnconfirmed()).toBe(true)
    expect(await membershipAt(bob, roomId, mallory.user)).toBe('ban')
    expect(await membershipAt(bob, roomId, carol.user)).toBe('join')
  })

  it('is not one without its create event', async () => {
    kit.away(alice, carol, dave)
    const { stateIds } = await mallory.rooms.stateFor(carol.name, roomId, await head(mallory))
    const [create] = stateIds
    network.cheats.set(carol.name, {
      sendTransaction: async () => ({ pdus: {} }),
      stateIds: async () => ({ pduIds: stateIds.filter((id) => id !== create), authChainIds: [] }),
    })
    await kit.join()
    const [[, mark] = ['', '{}']] = await bob.store.range('partial', '', '\u00ff')
    expect(JSON.parse(mark)).toMatchObject({
      unconfirmed: { words: [[mallory.name, expect.any(String) as unknown]] },
    })
  })

  const head = async (node: BareNode): Promise<EventId> =>
    (await node.rooms.snapshot(roomId))?.heads[0] as EventId

  it('stands after a month in which nobody else came, and costs them few questions', async () => {
    kit.away(alice, carol, dave)
    let questions = 0
    const sendTransaction: Federation['sendTransaction'] = async (_to, { txnId }) => {
      if (txnId.startsWith('join-')) questions += 1
      throw new CarrierError('unreachable', 'gone')
    }
    for (const { name } of [alice, carol, dave]) network.cheats.set(name, { sendTransaction })
    await kit.join()
    await network.pass(MAX_UNCONFIRMED_MS - DAY_MS)
    expect(await kit.isUnconfirmed()).toBe(true)
    // Of three servers, four to eight times a day, and more often in the beginning.
    expect(questions).toBeGreaterThan(29 * 4 * 3)
    expect(questions).toBeLessThan(29 * 8 * 3 + 60)
    // Others that come and go are no reason.
    for (let minute = 0; minute < 60; minute += 1) {
      bob.completion.kick('other.example.org' as ServerName)
      await network.pass(60_000)
    }
    expect(questions).toBeLessThan(29 * 8 * 3 + 60)
    await network.pass(2 * DAY_MS)
    expect(await kit.isUnconfirmed()).toBe(false)
  })

  it('is asked for of a bounded number of servers, of which each may tell another', async () => {
    for (let index = 0; index < MAX_TELLERS; index += 1)
      await alice.rooms.send(roomId, {
        type: `org.example.${index}`,
        stateKey: '',
        sender: alice.user,
        content: {},
      })
    await network.settle()
    const names = Array.from({ length: MAX_OTHERS }, (_, index) =>
      parseServerName(`n${index}.example.org`),
    ).filter((name) => name !== undefined)
    kit.away(alice, carol, dave)
    const { stateIds } = await mallory.rooms.stateFor(carol.name, roomId, await head(mallory))
    names.forEach((name, index) =>
      network.cheats.set(name, {
        sendTransaction: async () => ({ pdus: {} }),
        stateIds: async () => ({
          pduIds: stateIds.filter((_, at) => at !== 1 + index),
          authChainIds: [],
        }),
      }),
    )
    await kit.join(...names)
    const [[, mark] = ['', '{}']] = await bob.store.range('partial', '', '\u00ff')
    expect((JSON.parse(mark) as { unconfirmed: { others: unknown[] } }).unconfirmed.others).toHaveLength(
      MAX_OTHERS,
    )
    await network.settle()
    for (const name of names) bob.completion.kick(name)
    await network.pass(DAY_MS)
    expect(await kit.isUnconfirmed()).toBe(false)
    expect(bob.calls.filter((call) => call.startsWith('stateIds')).length).toBeLessThan(MAX_TELLERS + 3)
  })

  it('is asked about no more once this node has left', async () => {
    kit.away(alice, carol, dave)
    await kit.join()
    await bob.rooms.leave(bob.user, roomId)
    await network.pass(DAY_MS)
    kit.appear(bob, alice, carol, dave)
    await network.pass(DAY_MS)
    expect([alice, carol, dave].map((node) => kit.asked(node))).toEqual([0, 0, 0])
    // Nor does it matter when it comes back.
    await kit.join()
    await network.pass(60_000)
    expect(await kit.isUnconfirmed()).toBe(false)
    expect(await kit.stored('provisional')).toEqual([])
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })
})
