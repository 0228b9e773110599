/** The authorisation rules of every room version, by a table of what they allow and by which number they refuse. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { isJsonObject, ownValue } from '../json.ts'
import { ROOM_VERSIONS } from '../room-version.ts'
import { verdict, type Event, type Setting } from '../testing/auth-cases.ts'
import { requireVersion } from '../testing/rooms.ts'

type Case = {
  readonly about: string
  readonly expect: Readonly<Record<string, string | null>>
  readonly state: Setting
  readonly event: Event
}
const { cases } = JSON.parse(
  readFileSync(new URL('../../../../test/vectors/auth.json', import.meta.url), 'utf8'),
) as { readonly cases: readonly Case[] }

/** The rules about an event's `auth_events` and the create event, which a state alone does not decide. */
const BY_AUTH_EVENTS = /^(?:authEvents\.|room$)/
/** What no event of the same kind can pass. */
const WITHOUT_KIND = new Set(['member.shape', 'member.unknown'])

/** Rule or 'allowed'; `undefined` where the case cannot come up. */
function expectedOf(table: Case['expect'], version: string): string | undefined {
  const upTo = ROOM_VERSIONS.slice(0, ROOM_VERSIONS.indexOf(version) + 1)
  return table[upTo.findLast((id) => table[id] !== undefined) ?? ''] ?? undefined
}

/** Events of one kind meet the same rules. */
function kindOf({ type, content }: Event): string {
  const inside = isJsonObject(content) ? content : {}
  const special = ['third_party_invite', 'join_authorised_via_users_server'].filter((key) => key in inside)
  return JSON.stringify([type, ownValue(inside, 'membership'), ...special])
}

describe.each(ROOM_VERSIONS)('version %s', (id) => {
  const version = requireVersion(id)
  const own = cases.flatMap(({ about, expect: table, state, event }) => {
    const expected = expectedOf(table, id)
    return expected === undefined ? [] : [{ about, expected, state, event }]
  })

  it.each(own)('$about: $expected', ({ expected, state, event }) => {
    expect(verdict(state, event, version)).toBe(expected)
  })

  const rules = Object.entries(version.rules).filter(([name]) => !BY_AUTH_EVENTS.test(name))
  it.each(rules)(
    '%s, rule %s, has a case that it refuses and one like it that is allowed',
    (name, number) => {
      const refused = own.filter(({ expected }) => expected === number).map(({ event }) => event)
      expect(refused).not.toEqual([])
      const allowed = own.filter(({ expected }) => expected === 'allowed').map(({ event }) => event)
      const like = WITHOUT_KIND.has(name) ? ({ type }: Event): string => type : kindOf
      const kinds = new Set(refused.map(like))
      expect(allowed.filter((event) => kinds.has(like(event)))).not.toEqual([])
    },
  )

  it('refuses by no rule that its list does not have', () => {
    const numbers = new Set(['allowed', ...rules.map(([, number]) => number)])
    expect(own.filter(({ expected }) => !numbers.has(expected))).toEqual([])
  })
})
