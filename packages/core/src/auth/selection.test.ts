import { describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../json.ts'
import { splitStateKey } from '../state.ts'
import { BOB, CAROL } from '../testing/random-room.ts'
import { requireVersion } from '../testing/rooms.ts'
import { authStateKeys } from './selection.ts'

const V12 = requireVersion('12')
const DAVE = '@dave:d'

describe('authStateKeys', () => {
  const keys = (type: string, target: string | undefined, content: JsonObject): string[] =>
    authStateKeys(V12, { type, sender: BOB, content, ...(target === undefined ? {} : { state_key: target }) })
      .map((key) => splitStateKey(key).join('|'))
      .sort()
  const POWER = 'm.room.power_levels|'
  const RULES = 'm.room.join_rules|'
  const of = (user: string): string => `m.room.member|${user}`
  const invite = (value: JsonValue): JsonObject => ({ membership: 'invite', third_party_invite: value })

  it.each<[string, string, string | undefined, JsonObject, string[]]>([
    ['create', 'm.room.create', '', {}, []],
    ['a message', 'm.room.message', undefined, {}, [POWER, of(BOB)]],
    ['a join', 'm.room.member', BOB, { membership: 'join' }, [POWER, RULES, of(BOB)]],
    ['a knock', 'm.room.member', BOB, { membership: 'knock' }, [POWER, RULES, of(BOB)]],
    ['an invite', 'm.room.member', CAROL, { membership: 'invite' }, [POWER, RULES, of(BOB), of(CAROL)]],
    ['a kick', 'm.room.member', CAROL, { membership: 'leave' }, [POWER, of(BOB), of(CAROL)]],
    ['a ban', 'm.room.member', CAROL, { membership: 'ban' }, [POWER, of(BOB), of(CAROL)]],
    [
      'a restricted join',
      'm.room.member',
      BOB,
      { membership: 'join', join_authorised_via_users_server: DAVE },
      [POWER, RULES, of(BOB), of(DAVE)],
    ],
    [
      'a leave that names somebody',
      'm.room.member',
      BOB,
      { membership: 'leave', join_authorised_via_users_server: DAVE },
      [POWER, of(BOB)],
    ],
    [
      'a join with what belongs in an invite',
      'm.room.member',
      BOB,
      { membership: 'join', third_party_invite: { signed: { token: 't' } } },
      [POWER, RULES, of(BOB)],
    ],
    [
      'a third-party invite',
      'm.room.member',
      CAROL,
      invite({ signed: { token: 't' } }),
      [POWER, RULES, of(BOB), of(CAROL), 'm.room.third_party_invite|t'],
    ],
    [
      'a malformed one',
      'm.room.member',
      CAROL,
      invite({ signed: { token: 1 } }),
      [POWER, RULES, of(BOB), of(CAROL)],
    ],
    ['a malformed one', 'm.room.member', CAROL, invite([]), [POWER, RULES, of(BOB), of(CAROL)]],
  ])('of %s', (_about, type, target, content, expected) => {
    expect(keys(type, target, content)).toEqual(expected.sort())
  })
})
