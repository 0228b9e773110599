import { describe, expect, it } from 'vitest'
import { createRegistration } from './registration.ts'

describe('registration', () => {
  it('by token takes that token alone', () => {
    const registration = createRegistration({ mode: 'token', token: 'a-Token.1' })
    expect(registration.stages).toEqual(['m.login.registration_token'])
    expect(registration.isToken('a-Token.1')).toBe(true)
    for (const wrong of ['', 'a-token.1', 'a-Token.1 ', 'x'.repeat(1_000_000)])
      expect(registration.isToken(wrong)).toBe(false)
  })

  it('that is open or closed takes no token', () => {
    for (const mode of ['open', 'closed'] as const) {
      const registration = createRegistration({ mode, token: 'a' })
      expect(registration).toMatchObject({ mode, stages: ['m.login.dummy'] })
      expect(registration.isToken('a')).toBe(false)
    }
    expect(createRegistration().mode).toBe('open')
  })

  it.each([undefined, '', 'with space', 'x'.repeat(65)])(
    'by token needs one that can be sent, not %j',
    (token) => {
      expect(() => createRegistration({ mode: 'token', ...(token === undefined ? {} : { token }) })).toThrow(
        TypeError,
      )
    },
  )
})
