/** Invites by the older endpoint, which serves rooms of versions 1 and 2. */
import type { JsonObject, UserId } from '@plexus/core'
import { createTestRoom, join, member, requireVersion } from '@plexus/core/testing'
import type { CarrierResponse, EnvelopedRequest } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import { createFederation } from '../federation.ts'
import { INCARNATION, jsonAnswer, testClock } from '../testing/fixtures.ts'
import { alice, ALICE, ask, bob, BOB, CAROL, enc, V1 } from '../testing/endpoints.ts'

const room = createTestRoom({ creator: ALICE, version: requireVersion('1') })
room.add(join(ALICE))
const invited = (user: UserId, membership = 'invite') => room.build(member(ALICE, user, membership))
const bobs = invited(BOB)
const stripped = { type: 'm.room.name', state_key: '', sender: ALICE, content: { name: 'Tea' } }

describe('an invite of version 1', () => {
  const put = ({ id, pdu }: { id: string; pdu: JsonObject }, unsigned: JsonObject = {}) => ({
    method: 'PUT',
    uri: `${V1}/invite/${enc(room.roomId)}/${enc(id)}`,
    content: { ...pdu, unsigned },
  })
  const given: unknown[] = []
  const methods = {
    rooms: {
      snapshot: async () => undefined,
      acceptInvite: async (_o: unknown, _r: unknown, _i: unknown, invite: { event: JsonObject }) => {
        given.push(invite)
        return { event: { ...invite.event, signed: true } }
      },
    },
  }

  it('is answered as a pair, with mere stripped state', async () => {
    const { status, body } = await ask(methods, put(bobs, { invite_room_state: [stripped] }))
    expect(body).toMatchObject([200, { event: { ...bobs.pdu, signed: true } }])
    expect(status).toBe(200)
    expect(given).toMatchObject([{ roomVersion: '1', inviteRoomState: [stripped] }])
  })

  it.each([
    ['of a user of another server', put(invited(CAROL))],
    ['that is none', put(invited(BOB, 'ban'))],
    ['under the id of another event', { ...put(bobs), uri: put(invited(CAROL)).uri }],
  ])('%s is refused', async (_, raw) => {
    const { status, body, calls } = await ask(methods, raw)
    expect({ status, body }).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    expect(calls).not.toContain('rooms.acceptInvite')
  })
})

describe('a server that knows no newer endpoint', () => {
  const inviteBy = async (roomVersion: string, refusal: CarrierResponse) => {
    const sent: EnvelopedRequest[] = []
    const carrier = {
      async send(request: EnvelopedRequest) {
        sent.push(request)
        return request.request.uri.includes('/v2/') ? refusal : jsonAnswer([200, { event: bobs.pdu }])
      },
    }
    const federation = createFederation(
      { carrier, signer: alice, clock: testClock() },
      { incarnation: INCARNATION },
    )
    const invite = { roomVersion, event: bobs.pdu, inviteRoomState: [stripped] }
    const answer = await federation
      .invite(bob.name, room.roomId, bobs.id, invite)
      .catch((error: unknown) => String(error))
    return { answer, sent }
  }
  const unknown = jsonAnswer({ errcode: 'M_UNRECOGNIZED', error: 'what?' }, 404)

  it.each(['1', '2'])('is asked by the older one for a room of version %s', async (version) => {
    const { answer, sent } = await inviteBy(version, unknown)
    expect(answer).toEqual({ event: bobs.pdu })
    expect(sent.map(({ request }) => request.uri.slice(0, 29))).toEqual([
      '/_matrix/federation/v2/invite',
      '/_matrix/federation/v1/invite',
    ])
    expect(sent[1]?.request.content).toMatchObject({ unsigned: { invite_room_state: [stripped] } })
  })

  it.each([
    ['a room of a newer version', '3', unknown],
    ['a refusal', '1', jsonAnswer({ errcode: 'M_FORBIDDEN', error: 'no' }, 403)],
    ['a user who is not there', '1', jsonAnswer({ errcode: 'M_NOT_FOUND', error: 'no' }, 404)],
  ])('is not asked again after %s', async (_, version, refusal) => {
    const { answer, sent } = await inviteBy(version, refusal)
    expect(answer).toMatch(/FederationError/)
    expect(sent).toHaveLength(1)
  })
})
