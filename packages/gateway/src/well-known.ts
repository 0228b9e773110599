/** Delegation by `/.well-known/matrix/server`. spec: server-server-api.md "Resolving server names" step 3 */
import type { ServerName } from '@plexus/core'
import { isJsonObject, parseJson, parseServerName } from '@plexus/core'
import type { Clock } from '@plexus/engine/ports'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
/** How long an answer counts that says nothing of it, and at most. */
export const DEFAULT_LIFETIME_MS: number = 24 * HOUR_MS
export const MAX_LIFETIME_MS: number = 48 * HOUR_MS
/** Also of an answer that must not be kept: every request would ask again. */
export const MIN_LIFETIME_MS: number = 5 * MINUTE_MS
/** An error counts for a minute, then for twice as long each time, up to an hour. */
export const FIRST_ERROR_LIFETIME_MS: number = MINUTE_MS
export const MAX_ERROR_LIFETIME_MS: number = HOUR_MS
/** Names whose answers are kept; one of those that were asked for first makes room. */
export const MAX_KEPT_NAMES = 10_000
const MAX_BODY_BYTES = 51_200
const TIMEOUT_MS = 10_000
const MAX_REDIRECTS = 5

/** GET over HTTPS with the usual trust in certificates. @throws when no answer came within the bounds. */
export type HttpsGet = (
  url: string,
  bounds: { readonly maxBytes: number; readonly timeoutMs: number; readonly maxRedirects: number },
) => Promise<{
  readonly status: number
  readonly headers: { readonly [name: string]: string | string[] | undefined }
  readonly bytes: Uint8Array
}>

export interface WellKnown {
  /** The name that `hostname` delegates to; `undefined` when it says nothing that counts. Never rejects. */
  delegate(hostname: string): Promise<ServerName | undefined>
}

type Kept = {
  readonly name: ServerName | undefined
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly lifetimeMs: number
  readonly errors: number
}

export function createWellKnown(clock: Clock, get: HttpsGet): WellKnown {
  const kept = new Map<string, Kept>()
  const asking = new Map<string, Promise<ServerName | undefined>>()

  async function ask(hostname: string): Promise<ServerName | undefined> {
    const errors = (kept.get(hostname)?.errors ?? 0) + 1
    const answer = await fetchDelegation(get, hostname, clock.now()).catch(() => undefined)
    const lifetimeMs =
      answer?.lifetimeMs ?? Math.min(FIRST_ERROR_LIFETIME_MS * 2 ** (errors - 1), MAX_ERROR_LIFETIME_MS)
    kept.delete(hostname)
    kept.set(hostname, {
      name: answer?.name,
      at: clock.now(),
      lifetimeMs,
      errors: answer === undefined ? errors : 0,
    })
    const [oldest] = kept.keys()
    if (kept.size > MAX_KEPT_NAMES && oldest !== undefined) kept.delete(oldest)
    return answer?.name
  }

  return {
    async delegate(hostname) {
      const known = kept.get(hostname)
      // A clock that was set back makes nothing last for longer.
      if (known !== undefined && Math.abs(clock.now() - known.at) < known.lifetimeMs) return known.name
      let running = asking.get(hostname)
      if (running === undefined) {
        running = ask(hostname).finally(() => asking.delete(hostname))
        asking.set(hostname, running)
      }
      return running
    },
  }
}

async function fetchDelegation(
  get: HttpsGet,
  hostname: string,
  now: number,
): Promise<{ readonly name: ServerName; readonly lifetimeMs: number } | undefined> {
  const { status, headers, bytes } = await get(`https://${hostname}/.well-known/matrix/server`, {
    maxBytes: MAX_BODY_BYTES,
    timeoutMs: TIMEOUT_MS,
    maxRedirects: MAX_REDIRECTS,
  })
  if (status !== 200) return undefined
  const parsed = parseJson(bytes, { maxBytes: MAX_BODY_BYTES })
  const told = parsed.kind === 'ok' && isJsonObject(parsed.value) ? parsed.value['m.server'] : undefined
  const name = typeof told === 'string' ? parseServerName(told) : undefined
  return name === undefined ? undefined : { name, lifetimeMs: lifetimeOf(headers, now) }
}

/** spec: RFC 9111 sections 5.2.2 and 5.3 */
function lifetimeOf(
  headers: { readonly [name: string]: string | string[] | undefined },
  now: number,
): number {
  const control = String(headers['cache-control'] ?? '').toLowerCase()
  const [, seconds] = /(?:^|[ ,])max-age="?(\d{1,10})/.exec(control) ?? []
  const expires = Date.parse(String(headers['expires'] ?? ''))
  const told = /(?:^|[ ,])no-(?:store|cache)/.test(control)
    ? 0
    : seconds !== undefined
      ? Number(seconds) * 1_000
      : Number.isNaN(expires)
        ? DEFAULT_LIFETIME_MS
        : expires - now
  return Math.min(Math.max(told, MIN_LIFETIME_MS), MAX_LIFETIME_MS)
}
