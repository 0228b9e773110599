import type { UserId } from '@plexus/core'
import { beforeEach, describe, expect, it } from 'vitest'
import { createLoginTokens, LOGIN_TOKEN_MS, MAX_LOGIN_TOKENS } from './login-tokens.ts'
import type { LoginTokens } from './types.ts'

const ALICE = '@alice:a' as UserId

describe('login tokens', () => {
  let now = 0
  let count = 0
  let tokens: LoginTokens

  beforeEach(() => {
    now = 1_000
    count = 0
    tokens = createLoginTokens({
      clock: { now: () => now, after: () => () => undefined },
      random: { bytes: (length) => new Uint8Array(length).fill((count += 1) % 256).fill(count >> 8, 1) },
    })
  })

  it('are good for one login', () => {
    const { token, expiresInMs } = tokens.issue(ALICE)
    expect(expiresInMs).toBe(LOGIN_TOKEN_MS)
    expect(tokens.take(token)).toBe(ALICE)
    expect(tokens.take(token)).toBeUndefined()
    expect(tokens.take('another')).toBeUndefined()
  })

  it('end soon', () => {
    const [first, second] = [tokens.issue(ALICE).token, tokens.issue(ALICE).token]
    now += LOGIN_TOKEN_MS - 1
    expect(tokens.take(first)).toBe(ALICE)
    now += 1
    expect(tokens.take(second)).toBeUndefined()
  })

  it('are bounded in number', () => {
    const first = tokens.issue(ALICE).token
    for (let index = 0; index < MAX_LOGIN_TOKENS; index += 1) tokens.issue(ALICE)
    expect(tokens.take(first)).toBeUndefined()
  })
})
