/** What a server is told of a room, and whose join is believed. */
import { buildEvent, encodeBase64, eventIdOf, roomVersion, signingBytes, withSignature } from '@plexus/core'
import type { EventId, KeyId, Pdu, RoomId, RoomVersion } from '@plexus/core'
import { beforeEach, describe, expect, it } from 'vitest'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'
import { bodies, bringIn, createRoom, FROM_START, say, TO_END, threeServers, make } from './rooms-kit.ts'

const version = roomVersion('12') as RoomVersion

let network: BareNetwork
let alice: BareNode
let bob: BareNode
let carol: BareNode
let roomId: RoomId

beforeEach(async () => {
  ;({ network, alice, bob, carol, roomId } = await threeServers('public'))
})

const join = (node: BareNode, through: BareNode): Promise<void> =>
  node.rooms.join(node.user, roomId, { via: [through.name] })

describe('what a server is told', () => {
  const backfill = async (from: EventId): Promise<readonly Pdu[]> =>
    alice.rooms.backfillFor(bob.name, roomId, [from], 100)

  it('is blank where history was not for it', async () => {
    const visibility = { type: 'm.room.history_visibility', stateKey: '', sender: alice.user }
    await alice.rooms.send(roomId, { ...visibility, content: { history_visibility: 'joined' } })
    const secret = await say(alice, roomId, 'secret')
    await join(bob, alice)
    await network.settle()
    const open = await say(alice, roomId, 'open')
    const told = new Map((await backfill(open)).map((pdu) => [eventIdOf(version, pdu), pdu]))
    expect(told.get(open)?.content).toMatchObject({ body: 'open' })
    expect(told.get(secret)?.content).toEqual({})
    expect((await alice.rooms.eventFor(bob.name, secret)).content).toEqual({})
    await network.settle()
    await bob.rooms.backfill(roomId, TO_END, 100)
    expect(await bodies(bob, roomId)).toEqual([undefined, 'open'])
    // What ended their stay is for who was put out, what followed is not.
    const member = { type: 'm.room.member', stateKey: bob.user, sender: alice.user }
    const kick = { ...member, content: { membership: 'leave', reason: 'late' } }
    const ban = { ...member, content: { membership: 'ban', reason: 'rude' } }
    const [kicked, banned] = [await alice.rooms.send(roomId, kick), await alice.rooms.send(roomId, ban)]
    await alice.rooms.send(roomId, { ...member, content: { membership: 'leave' } })
    await network.settle()
    await join(bob, alice)
    expect((await alice.rooms.eventFor(bob.name, kicked)).content).toHaveProperty('reason', 'late')
    expect((await alice.rooms.eventFor(bob.name, banned)).content).toEqual({ membership: 'ban' })
  })

  it('is bounded', async () => {
    await join(bob, alice)
    for (let index = 0; index < 150; index += 1) await say(alice, roomId, String(index))
    const [head] = (await alice.rooms.snapshot(roomId))?.heads ?? []
    expect(await alice.rooms.backfillFor(bob.name, roomId, [head as EventId], 5_000)).toHaveLength(100)
    const query = { earliest: [], latest: [head as EventId], limit: 5_000, minDepth: 0 }
    const missing = await alice.rooms.missingEvents(bob.name, roomId, query)
    expect(missing).toHaveLength(100)
    expect(missing.map(({ depth }) => depth)).toEqual(
      missing.map(({ depth }) => depth).toSorted((a, b) => a - b),
    )
  })

  it('is nothing of a room that it is not in, by whatever event it asks', async () => {
    const other = await createRoom(alice)
    const foreign = await say(alice, other, 'elsewhere')
    await join(bob, alice)
    expect(await alice.rooms.backfillFor(bob.name, roomId, [foreign], 10)).toEqual([])
    const query = { earliest: [], latest: [foreign], limit: 10, minDepth: 0 }
    expect(await alice.rooms.missingEvents(bob.name, roomId, query)).toEqual([])
    await expect(alice.rooms.eventFor(bob.name, foreign)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    await expect(alice.rooms.stateFor(bob.name, roomId, foreign)).rejects.toMatchObject({
      errcode: 'M_NOT_FOUND',
    })
    await expect(alice.rooms.stateFor(bob.name, other, foreign)).rejects.toMatchObject({
      errcode: 'M_FORBIDDEN',
    })
  })

  it('walks past an event that is not passed on', async () => {
    await join(bob, alice)
    await network.settle()
    await say(alice, roomId, 'first')
    const base = (await alice.rooms.snapshot(roomId))?.heads ?? []
    const { pdu } = await make(bob, alice, roomId, { prev: base, depth: 50 })
    await alice.rooms.receive(bob.name, [{ ...pdu, content: { body: 'forged' } }])
    await network.settle()
    const last = await say(alice, roomId, 'last')
    const told = (await backfill(last)).map(({ content }) => content['body'])
    expect(told.filter((body) => body !== undefined)).toEqual(['last', 'first'])
  })
})

describe('a join that is dated more than a week ahead', () => {
  it('is refused with a hint at the clock', async () => {
    network.cheats.set(alice.name, {
      sendJoin: async (_to, room, _id, event) => {
        const { signatures: _, hashes: __, ...rest } = event
        const bare = buildEvent(version, {
          template: {
            type: 'm.room.member',
            sender: bob.user,
            stateKey: bob.user,
            content: { membership: 'join' },
          },
          roomId: room,
          prevEvents: (rest['prev_events'] as EventId[]).map((id) => ({ reference: id, depth: 5 })),
          authEvents: rest['auth_events'] as EventId[],
          now: network.clock.now() + 700_000_000,
        })
        const signature = encodeBase64(await bob.signer.sign(signingBytes(version, bare)))
        const pdu = withSignature(bare, bob.name, bob.signer.keyId as KeyId, signature)
        return alice.rooms.acceptMembership('join', bob.name, room, eventIdOf(version, pdu), pdu)
      },
    })
    await expect(join(bob, alice)).rejects.toThrow('clock')
    network.cheats.clear()
    const range = { from: FROM_START, to: TO_END, direction: 'b', limit: 1 } as const
    expect((await alice.rooms.timeline(roomId, range)).events[0]?.pdu.sender).toBe(alice.user)
    expect(await bringIn(network, alice, carol, roomId)).toBeUndefined()
  })
})
