import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkAuth } from './auth/check-auth.ts'
import { decide } from './decide.ts'
import { checkFormat } from './format.ts'
import type { JsonValue } from './json.ts'
import type { Pdu } from './pdu.ts'
import type { StateKey } from './state.ts'
import { NOWHERE, after, decideIn, inputFor, outcome } from './testing/decisions.ts'
import { ALICE, BOB, publicRoom, randomRoom } from './testing/random-room.ts'
import { joinRule, requireVersion, type Made } from './testing/rooms.ts'

/** Random rooms take a while on a busy machine. */
const PROPERTY_MS = 60_000

const V12 = requireVersion('12')
const DAVE = '@dave:d'

describe('properties', () => {
  it(
    'decide gives the same answer twice',
    () => {
      fc.assert(
        fc.property(
          fc.array(fc.array(fc.nat(60), { minLength: 5, maxLength: 5 }), { maxLength: 15 }),
          (steps) => {
            const { room, made } = randomRoom(steps)
            for (const event of made) {
              const input = inputFor(room, event)
              expect(decide(input)).toEqual(decide(input))
            }
          },
        ),
        { numRuns: 50 },
      )
    },
    PROPERTY_MS,
  )

  it(
    'neither decide nor checkAuth throws on any event that has the format',
    () => {
      const { room, base } = publicRoom()
      room.add(joinRule(ALICE, 'knock_restricted'))
      const known = [NOWHERE, ...room.all().map(({ id }) => id)]
      const membership = fc.record(
        {
          membership: fc.constantFrom('join', 'invite', 'leave', 'ban', 'knock', 'x'),
          third_party_invite: fc.oneof(fc.jsonValue(), fc.record({ signed: fc.jsonValue() })),
          join_authorised_via_users_server: fc.oneof(fc.constantFrom(ALICE, DAVE, 'x'), fc.jsonValue()),
        },
        { requiredKeys: [] },
      )
      const powers = fc.record(
        { users: fc.jsonValue(), events: fc.jsonValue(), ban: fc.jsonValue(), notifications: fc.jsonValue() },
        { requiredKeys: [] },
      )
      const event = fc.record(
        {
          type: fc.constantFrom(
            'm.room.member',
            'm.room.power_levels',
            'm.room.create',
            'm.room.redaction',
            '__proto__',
            'x',
          ),
          sender: fc.constantFrom(ALICE, BOB, DAVE, '@:x'),
          state_key: fc.constantFrom('', ALICE, BOB, DAVE, '@', 'constructor'),
          room_id: fc.constantFrom(room.roomId, '!old:room'),
          content: fc.oneof(membership, powers, fc.dictionary(fc.string(), fc.jsonValue())),
          prev_events: fc.uniqueArray(fc.constantFrom(...known), { maxLength: 4 }),
          auth_events: fc.array(fc.constantFrom(...known), { maxLength: 4 }),
          depth: fc.nat(),
          origin_server_ts: fc.integer(),
          hashes: fc.constant({ sha256: '' }),
          signatures: fc.constant({ a: { 'ed25519:1': 'x' } }),
        },
        {
          requiredKeys: [
            'type',
            'sender',
            'content',
            'prev_events',
            'auth_events',
            'depth',
            'origin_server_ts',
            'hashes',
            'signatures',
          ],
        },
      )
      const seen = new Set<string>()
      fc.assert(
        fc.property(event, (raw) => {
          const verdict = checkFormat(V12, JSON.parse(JSON.stringify(raw)) as JsonValue)
          if (verdict.kind === 'drop') return
          // As if the hash had matched, so that the content is what was generated.
          const made: Made = { id: verdict.eventId, pdu: raw as unknown as Pdu }
          seen.add(outcome(decideIn(room, made)))
          const state = after(room, base)
          const auth = {
            create: room.create.pdu,
            get: (key: StateKey) => room.view.get(state.get(key) ?? NOWHERE)?.pdu,
          }
          seen.add(checkAuth(V12, made.pdu, auth)?.rule ?? 'allowed')
        }),
        { numRuns: 3000 },
      )
      expect(seen.size).toBeGreaterThan(12)
    },
    PROPERTY_MS,
  )
})
