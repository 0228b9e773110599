import type { ServerName } from './ids.ts'
import { ownValue, type JsonObject } from './json.ts'

/**
 * Whether a room's server ACL lets a server in. `acl` is the content of the room's current `m.room.server_acl` event,
 * `undefined` when it has none. Entries that are not strings match nothing.
 * spec: data/event-schemas/schema/m.room.server_acl.yaml
 */
export function isServerAllowed(acl: JsonObject | undefined, server: ServerName): boolean {
  if (acl === undefined) return true
  const host = hostOf(server).toLowerCase()
  if (ownValue(acl, 'allow_ip_literals') === false && isIpLiteral(host)) return false
  if (matchesAny(ownValue(acl, 'deny'), host)) return false
  return matchesAny(ownValue(acl, 'allow'), host)
}

/** The server name without its port. */
function hostOf(server: ServerName): string {
  return server.replace(/:[0-9]{1,5}$/, '')
}

function isIpLiteral(host: string): boolean {
  return host.startsWith('[') || /^(?:[0-9]{1,3}\.){3}[0-9]{1,3}$/.test(host)
}

function matchesAny(patterns: unknown, host: string): boolean {
  if (!Array.isArray(patterns)) return false
  return patterns.some((pattern) => typeof pattern === 'string' && matchesGlob(pattern.toLowerCase(), host))
}

/**
 * `*` stands for any run of characters, `?` for one. Goes back to the last star only, so the time is at most the
 * product of both lengths, whatever the pattern. spec: appendices.md "Glob-style matching"
 */
function matchesGlob(pattern: string, text: string): boolean {
  let p = 0
  let t = 0
  let star = -1
  let resume = 0
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p
      resume = t
      p += 1
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p += 1
      t += 1
    } else if (star !== -1) {
      resume += 1
      p = star + 1
      t = resume
    } else return false
  }
  while (pattern[p] === '*') p += 1
  return p === pattern.length
}
