import { describe, expect, it } from 'vitest'
import type { Membership } from '../rooms/types.ts'
import { mayRead, membershipIn, visibilityOf } from './visibility.ts'
import type { HistoryVisibility } from './visibility.ts'

const MEMBERSHIPS: readonly Membership[] = ['join', 'invite', 'knock', 'leave', 'ban']
const VISIBILITIES: readonly HistoryVisibility[] = ['world_readable', 'shared', 'invited', 'joined']
const NOT_JOINED = MEMBERSHIPS.filter((membership) => membership !== 'join')

describe('history visibility', () => {
  it.each(MEMBERSHIPS)('rule 1: world_readable is for everyone, %s', (membership) => {
    expect(mayRead({ visibility: 'world_readable', membership }, false)).toBe(true)
  })

  it.each(VISIBILITIES)('rule 2: who was joined reads, with %s', (visibility) => {
    expect(mayRead({ visibility, membership: 'join' }, false)).toBe(true)
  })

  it.each(NOT_JOINED)('rule 3: shared is for who joined later, %s at the event', (membership) => {
    expect(mayRead({ visibility: 'shared', membership }, true)).toBe(true)
    expect(mayRead({ visibility: 'shared', membership }, false)).toBe(false)
  })

  it('rule 4: invited is for who was invited at the event', () => {
    expect(mayRead({ visibility: 'invited', membership: 'invite' }, false)).toBe(true)
    expect(mayRead({ visibility: 'shared', membership: 'invite' }, false)).toBe(false)
    expect(mayRead({ visibility: 'joined', membership: 'invite' }, true)).toBe(false)
  })

  it.each(['knock', 'leave', 'ban'] as const)('rule 5: nothing else is readable, %s', (membership) => {
    expect(mayRead({ visibility: 'invited', membership }, true)).toBe(false)
    expect(mayRead({ visibility: 'joined', membership }, true)).toBe(false)
  })

  it.each([
    [undefined, 'shared'],
    [{}, 'shared'],
    [{ history_visibility: 'nonsense' }, 'shared'],
    [{ history_visibility: 7 }, 'shared'],
    [{ history_visibility: 'joined' }, 'joined'],
    [{ history_visibility: 'world_readable' }, 'world_readable'],
  ] as const)('reads %j as %s', (content, expected) => {
    expect(visibilityOf(content)).toBe(expected)
  })

  it('reads what is not a membership as leave', () => {
    expect([undefined, {}, { membership: 'x' }, { membership: 1 }].map(membershipIn)).toEqual(
      Array(4).fill('leave'),
    )
    expect(MEMBERSHIPS.map((membership) => membershipIn({ membership }))).toEqual(MEMBERSHIPS)
  })
})
