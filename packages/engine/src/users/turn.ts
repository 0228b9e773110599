/**
 * Credentials of TURN servers, which the server and they make of a secret that they share: the user name says until when
 * they are good and whose they are. spec: client-server-api/modules/voip_events.md, "GET /voip/turnServer"
 */
import { hmac } from '@noble/hashes/hmac.js'
import { sha1 } from '@noble/hashes/legacy.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { encodeBase64 } from '@plexus/core'
import type { UserId } from '@plexus/core'
import type { Clock } from '../ports.ts'
import type { Turn } from './types-data.ts'

export type TurnInit = {
  /** `turn:` and `turns:` URIs. */
  readonly uris: readonly string[]
  /** What the TURN servers know too. */
  readonly secret: string
  readonly lifetimeSeconds: number
}

export function createTurn(clock: Clock, init?: TurnInit): Turn {
  return {
    credentials(userId: UserId) {
      if (init === undefined || init.uris.length === 0) return undefined
      const { uris, secret, lifetimeSeconds } = init
      const username = `${Math.floor(clock.now() / 1000) + lifetimeSeconds}:${userId}`
      const mac = hmac(sha1, utf8ToBytes(secret), utf8ToBytes(username))
      // Twenty bytes of SHA-1 want one character of padding.
      return { username, password: `${encodeBase64(mac)}=`, uris, ttl: lifetimeSeconds }
    },
  }
}
