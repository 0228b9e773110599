/**
 * Tokens by which a user's next client logs in: each for one login, soon. They live in memory, so that none outlives a
 * restart. spec: client-server-api/_index.md "Token-based user login", POST /login/get_token
 */
import { encodeBase64Url, type UserId } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Clock, Random } from '../ports.ts'
import type { LoginTokens } from './types.ts'
import { createSteady } from '../kernel/steady.ts'

/** spec: 120,000 ms is recommended */
export const LOGIN_TOKEN_MS = 120_000
/** Tokens that wait to be used; the oldest goes first. */
export const MAX_LOGIN_TOKENS = 1_000
const TOKEN_BYTES = 32

export function createLoginTokens({ clock, random }: { clock: Clock; random: Random }): LoginTokens {
  const steady = createSteady(clock)
  const tokens = createLru<string, { readonly userId: UserId; readonly until: number }>(MAX_LOGIN_TOKENS)
  return {
    issue(userId) {
      const token = encodeBase64Url(random.bytes(TOKEN_BYTES))
      tokens.set(token, { userId, until: steady() + LOGIN_TOKEN_MS })
      return { token, expiresInMs: LOGIN_TOKEN_MS }
    },
    take(token) {
      const found = tokens.get(token)
      tokens.delete(token)
      return found !== undefined && steady() < found.until ? found.userId : undefined
    },
  }
}
