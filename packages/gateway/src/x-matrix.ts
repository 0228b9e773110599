/** The `Authorization` header of federation requests. spec: server-server-api.md "Request Authentication", RFC 9110 section 11.4 */
import type { SignedRequest } from '@plexus/core/names'

/** Longest header that is looked at, in characters: two server names, a key id and a signature with room to spare. */
export const MAX_HEADER_LENGTH = 2_048
/** Parameters of one header; all but four are unknown ones. */
const MAX_PARAMETERS = 16

export type XMatrix = {
  readonly origin: string
  /** Absent from old servers, which sign it all the same. */
  readonly destination?: string
  readonly key: string
  readonly signature: string
}

/** Of the first signature of the origin: Plexus nodes sign with one key. */
export function formatXMatrix({ origin, destination, signatures }: SignedRequest): string {
  const [[key, signature] = ['', '']] = Object.entries(signatures[origin] ?? {})
  return `X-Matrix origin="${origin}",destination="${destination}",key="${key}",sig="${signature}"`
}

const SCHEME = /^X-Matrix +/i
// A parameter, which may be missing, and what separates it from the next. Old servers leave values with colons unquoted, and
// base64 has characters beyond tokens too. Each space can belong to one place only, so that a run of them is walked over once.
const PARAMETER =
  /[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+./:=^_`|~0-9A-Za-z-]*))[ \t]*)?(?:,|$)/y

/** `undefined` for a header of another scheme, `malformed` for one that breaks the grammar or lacks a parameter. */
export function parseXMatrix(header: string): XMatrix | 'malformed' | undefined {
  const [scheme] = SCHEME.exec(header) ?? []
  if (scheme === undefined) return undefined
  if (header.length > MAX_HEADER_LENGTH) return 'malformed'
  const found = parametersOf(header, scheme.length)
  const [origin, key, signature] = [found?.get('origin'), found?.get('key'), found?.get('sig')]
  if (origin === undefined || key === undefined || signature === undefined) return 'malformed'
  const destination = found?.get('destination')
  return { origin, key, signature, ...(destination === undefined ? {} : { destination }) }
}

/** By lower-case name; a name that comes twice is malformed. */
function parametersOf(header: string, start: number): ReadonlyMap<string, string> | undefined {
  const found = new Map<string, string>()
  PARAMETER.lastIndex = start
  while (PARAMETER.lastIndex < header.length) {
    const match = PARAMETER.exec(header)
    if (match === null) return undefined
    const [, name, quoted, token] = match
    if (name === undefined) continue
    if (found.size === MAX_PARAMETERS || found.has(name.toLowerCase())) return undefined
    found.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? token ?? '')
  }
  return found
}
