/** OpenID tokens, in memory. spec: client-server-api/modules/openid.md */
import { encodeBase64Url } from '@plexus/core'
import type { UserId } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Clock, Random } from '../ports.ts'
import type { OpenId } from './types.ts'
import { createSteady } from '../kernel/steady.ts'

const OPENID_TOKEN_SECONDS = 3_600
const MAX_OPENID_TOKENS = 1_000
const TOKEN_BYTES = 32

export function createOpenId({ clock, random }: { clock: Clock; random: Random }): OpenId {
  const steady = createSteady(clock)
  const tokens = createLru<string, { readonly userId: UserId; readonly expires: number }>(MAX_OPENID_TOKENS)
  return {
    create(userId) {
      const token = encodeBase64Url(random.bytes(TOKEN_BYTES))
      tokens.set(token, { userId, expires: steady() + OPENID_TOKEN_SECONDS * 1000 })
      return { token, expiresIn: OPENID_TOKEN_SECONDS }
    },
    userOf(token) {
      const found = tokens.get(token)
      return found === undefined || found.expires <= steady() ? undefined : found.userId
    },
  }
}
