import type { ServerName, UserId } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import type { ApiEngine } from '../../services.ts'
import { checkLookup } from './profile-lookup.ts'

const engineOf = (mode: 'open' | 'token' | 'closed'): ApiEngine =>
  ({ serverName: 'here.example' as ServerName, users: { registration: { mode } } }) as unknown as ApiEngine

describe('who has no token', () => {
  it.each(['open', 'token', 'closed'] as const)('is told profiles of this server (%s)', (mode) => {
    expect(() => checkLookup(engineOf(mode), undefined, '@a:here.example' as UserId)).not.toThrow()
  })

  it('is told those of other servers where anybody gets one', () => {
    const look = (mode: 'open' | 'token' | 'closed') => () =>
      checkLookup(engineOf(mode), undefined, '@a:there.example' as UserId)
    expect(look('open')).not.toThrow()
    expect(look('token')).toThrow('profiles of other servers')
    expect(look('closed')).toThrow('profiles of other servers')
  })
})
