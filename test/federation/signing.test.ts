/**
 * DESIGN section 2: "The name key signs only objects that this node built. From a make_* template we take `prev_events`,
 * `auth_events` and `depth`, no more. Co-signing … is one function that checks type, membership, whose state key, that the
 * sender's server is the request's origin and not ours, and the room version." The co-signature of an invite has its own
 * tests (test/engine/invites.test.ts); here is all that the key signs, whoever asks for it.
 */
import { roomVersion, serverOf } from '@plexus/core'
import type { EventId, JsonObject, RoomId, RoomVersion, UserId } from '@plexus/core'
import type { CarrierResponse, InboundHandler } from '@plexus/engine/ports'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createFakePeer, type FakePeer } from '../kit/fake-peer.ts'
import { keysOf, createTestNode, quiet, type TestNode } from '../kit/node.ts'
import { createLoopback, type Loopback } from '../kit/loopback.ts'
import { createVirtualClock, type VirtualClock } from '../kit/virtual-clock.ts'

const version = roomVersion('12') as RoomVersion
const ROOM = '!AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' as RoomId
const SOMEWHERE = `$${'B'.repeat(43)}` as EventId
/** What stands before what is signed between Plexus nodes alone. */
const OWN_PREFIX = /^plexus \w+ 1\n/

describe('the name key', () => {
  let clock: VirtualClock
  let loopback: Loopback
  let alice: TestNode
  let user: UserId
  let mallory: FakePeer
  /** All that was signed. */
  let signed: string[]

  beforeEach(async () => {
    clock = createVirtualClock()
    loopback = createLoopback({ clock })
    signed = []
    const { signer, verifier } = keysOf(1)
    const sign = (bytes: Uint8Array): Promise<Uint8Array> => {
      signed.push(new TextDecoder().decode(bytes))
      return signer.sign(bytes)
    }
    alice = await createTestNode({
      loopback,
      clock,
      seed: 1,
      keys: { signer: { ...signer, sign }, verifier },
    })
    user = (await alice.signUp('alice')).userId
    mallory = createFakePeer({ loopback, clock, seed: 2 })
  })

  afterEach(() => alice.close())

  /** Everything under the key is a request of this node, a thing between Plexus nodes, or an event of its own users. */
  const expectOwn = (): readonly JsonObject[] => {
    const events: JsonObject[] = []
    for (const text of signed) {
      if (OWN_PREFIX.test(text)) continue
      const object = JSON.parse(text) as JsonObject
      if ('method' in object) {
        expect(Object.keys(object).filter((key) => key !== 'content')).toEqual([
          'destination',
          'method',
          'origin',
          'uri',
        ])
        expect(object['origin']).toBe(alice.name)
        continue
      }
      expect(serverOf(object['sender'] as UserId)).toBe(alice.name)
      events.push(object)
    }
    return events
  }

  const json = (status: number, body: JsonObject): CarrierResponse => ({
    status,
    contentType: 'application/json',
    body: new TextEncoder().encode(JSON.stringify(body)),
  })

  /** Mallory's server: whatever is asked for, it gives a template of an event that nobody here wants to send. */
  const templates = (): void => {
    const template = {
      type: 'm.room.power_levels',
      sender: `@other:${alice.name}`,
      state_key: '',
      room_id: '!other:example.org',
      content: { users: { [`@mallory:${mallory.name}`]: 100 }, membership: 'ban' },
      prev_events: [SOMEWHERE],
      auth_events: [SOMEWHERE],
      depth: 5,
      redacts: '$x',
      signatures: { [alice.name]: {} },
      unsigned: { more: 1 },
      origin_server_ts: 1,
      more: 'fields',
    }
    const handler: InboundHandler = async (request) => {
      const { uri } = request.request
      return uri.includes('/make_') ? json(200, { room_version: '12', event: template }) : json(404, {})
    }
    loopback.connect(mallory.name, handler)
  }

  const inviteHere = async (): Promise<void> => {
    const { id, pdu } = await mallory.build(version, {
      template: {
        type: 'm.room.member',
        sender: `@mallory:${mallory.name}` as UserId,
        stateKey: user,
        content: { membership: 'invite' },
      },
      roomId: ROOM,
      prevEvents: [{ reference: SOMEWHERE, depth: 4 }],
      authEvents: [SOMEWHERE],
      now: clock.now(),
    })
    await alice.engine.rooms.acceptInvite(mallory.name, ROOM, id, {
      roomVersion: '12',
      event: pdu,
      inviteRoomState: [],
    })
    signed.length = 0
  }

  it.each<['join' | 'knock' | 'leave', () => Promise<unknown>]>([
    ['join', () => alice.engine.rooms.join(user, ROOM, { via: [mallory.name] })],
    ['knock', () => alice.engine.rooms.knock(user, ROOM, { via: [mallory.name] })],
    ['leave', () => inviteHere().then(() => alice.engine.rooms.leave(user, ROOM))],
  ])(
    'takes from a template of make_%s its previous events, auth events and depth, no more',
    async (membership, act) => {
      templates()
      await act().catch(() => undefined)
      await quiet(loopback, [alice])
      const [event, ...others] = expectOwn()
      expect(others).toEqual([])
      expect(event).toEqual({
        type: 'm.room.member',
        sender: user,
        state_key: user,
        room_id: ROOM,
        content: { membership },
        prev_events: [SOMEWHERE],
        auth_events: [SOMEWHERE],
        depth: 5,
        origin_server_ts: expect.any(Number) as number,
        hashes: expect.any(Object) as JsonObject,
      })
    },
  )

  it('signs nothing of what a stranger brings to any endpoint', async () => {
    const hostile = {
      type: 'm.room.member',
      sender: user,
      state_key: user,
      room_id: ROOM,
      content: { membership: 'join', join_authorised_via_users_server: user },
      prev_events: [SOMEWHERE],
      auth_events: [SOMEWHERE],
      depth: 5,
      origin_server_ts: clock.now(),
      hashes: { sha256: 'A'.repeat(43) },
      signatures: {},
    }
    const ids = `${encodeURIComponent(ROOM)}/${encodeURIComponent(SOMEWHERE)}`
    const asks: readonly (readonly [string, string, JsonObject])[] = [
      ['PUT', `/_matrix/federation/v2/send_join/${ids}`, hostile],
      ['PUT', `/_matrix/federation/v1/send_join/${ids}`, hostile],
      ['PUT', `/_matrix/federation/v2/send_leave/${ids}`, hostile],
      ['PUT', `/_matrix/federation/v1/send_knock/${ids}`, hostile],
      ['PUT', `/_matrix/federation/v1/invite/${ids}`, hostile],
      ['PUT', `/_matrix/federation/v2/invite/${ids}`, { event: hostile, room_version: '12' }],
      ['PUT', `/_matrix/federation/v1/exchange_third_party_invite/${encodeURIComponent(ROOM)}`, hostile],
      ['PUT', '/_matrix/federation/v1/send/1', { pdus: [hostile], edus: [hostile] }],
      ['POST', '/_matrix/federation/v1/user/keys/claim', { one_time_keys: { [user]: hostile } }],
      ['POST', '/_matrix/policy/v1/sign', hostile],
      ['POST', '/_matrix/key/v2/query', { server_keys: { [mallory.name]: hostile } }],
    ]
    signed.length = 0
    for (const [method, uri, content] of asks) await mallory.ask(alice.name, { method, uri, content })
    await quiet(loopback, [alice])
    expect(expectOwn()).toEqual([])
  })
})
