import { describe, expect, it } from 'vitest'
import { isServerAllowed } from './server-acl.ts'
import type { ServerName } from './ids.ts'
import type { JsonObject } from './json.ts'

const allowed = (acl: JsonObject | undefined, server: string): boolean =>
  isServerAllowed(acl, server as ServerName)

describe('isServerAllowed', () => {
  it('lets everyone in when there is no ACL, and nobody when it allows nobody', () => {
    expect(allowed(undefined, 'evil.com')).toBe(true)
    expect(allowed({}, 'good.com')).toBe(false)
    expect(allowed({ allow: 'good.com' }, 'good.com')).toBe(false)
  })

  it.each([
    ['*', 'a.example', true],
    ['*.example', 'a.example', true],
    ['*.example', 'example', false],
    ['a?c.org', 'abc.org', true],
    ['a?c.org', 'ac.org', false],
    ['A*C', 'abbbc', true],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b*c', 'aXcYb', false],
    ['', 'a.example', false],
    ['a.example', 'axexample', false],
    ['[*', '[::1]', true],
    ['a**', 'a', true],
  ])('matches %s against %s: %s', (pattern, server, expected) => {
    expect(allowed({ allow: [pattern] }, server)).toBe(expected)
  })

  it('asks deny before allow, without regard to port or case', () => {
    const acl = { allow: ['*'], deny: ['*.evil.com', 'evil.com', 7, null] }
    expect(allowed(acl, 'evil.com')).toBe(false)
    expect(allowed(acl, 'EVIL.com:8448')).toBe(false)
    expect(allowed(acl, 'x.evil.com:1234')).toBe(false)
    expect(allowed(acl, 'good.com')).toBe(true)
  })

  it('refuses IP literals only when told so by a boolean', () => {
    for (const server of ['1.2.3.4', '1.2.3.4:8448', '[::1]', '[2001:db8::1]:8448']) {
      expect(allowed({ allow: ['*'], allow_ip_literals: false }, server)).toBe(false)
      expect(allowed({ allow: ['*'], allow_ip_literals: 'false' }, server)).toBe(true)
      expect(allowed({ allow: ['*'] }, server)).toBe(true)
    }
    expect(allowed({ allow: ['*'], allow_ip_literals: false }, '1.2.3.4.example')).toBe(true)
  })

  it('decides on a hostile pattern in bounded time', () => {
    const acl = { allow: [`${'*a'.repeat(30_000)}b`] }
    expect(allowed(acl, 'a'.repeat(230))).toBe(false)
  })
})
