/** `/plexus.json` of whoever serves the app: the relays to start from. Remembered, since that server may be away. */

export type AppConfig = { readonly relays: readonly string[]; readonly iceServers: readonly RTCIceServer[] }

const KEY = 'plexus.config'
const TIMEOUT_MS = 4_000
const MAX_BYTES = 64_000
/** A relay on all of a machine's networks has an address on each. */
export const MAX_RELAY_ADDRESSES = 64
export const MAX_ICE_SERVERS = 8
const MAX_ADDRESS_LENGTH = 400

const NONE: AppConfig = { relays: [], iceServers: [] }

/** The shape only; a relay proves itself by its key when it is dialled. `undefined` for anything else. */
export function parseConfig(value: unknown): AppConfig | undefined {
  if (!isRecord(value)) return undefined
  const { relays, iceServers = [] } = value
  if (!Array.isArray(relays) || relays.length > MAX_RELAY_ADDRESSES || !relays.every(isAddress))
    return undefined
  if (!Array.isArray(iceServers) || iceServers.length > MAX_ICE_SERVERS) return undefined
  const servers: RTCIceServer[] = []
  for (const server of iceServers as readonly unknown[]) {
    if (!isRecord(server)) return undefined
    const { urls, username, credential } = server
    if (!isText(urls) || !/^(?:stun|turn)s?:/.test(urls)) return undefined
    servers.push({
      urls,
      ...(isText(username) ? { username } : {}),
      ...(isText(credential) ? { credential } : {}),
    })
  }
  return { relays, iceServers: servers }
}

/** Asks the server; answers with what it said last time when it is away, and with nothing before it ever spoke. */
export async function loadConfig(): Promise<AppConfig> {
  try {
    const response = await fetch('/plexus.json', {
      cache: 'no-store',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const text = await response.text()
    const config = response.ok && text.length <= MAX_BYTES ? parseConfig(JSON.parse(text)) : undefined
    if (config !== undefined) {
      localStorage.setItem(KEY, JSON.stringify(config))
      return config
    }
  } catch (error) {
    console.info('plexus: the relay is not reachable, so its last known addresses are used', error)
  }
  return remembered()
}

/** For the headers of an answer alone. */
export function askServer(signal: AbortSignal): Promise<Response> {
  return fetch('/plexus.json', { method: 'HEAD', cache: 'no-store', signal })
}

function remembered(): AppConfig {
  const kept = localStorage.getItem(KEY)
  if (kept === null) return NONE
  try {
    return parseConfig(JSON.parse(kept)) ?? NONE
  } catch (error) {
    if (error instanceof SyntaxError) return NONE
    throw error
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isText = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= MAX_ADDRESS_LENGTH
const isAddress = (value: unknown): value is string => isText(value) && value.startsWith('/')

/** True for a page from this machine or its own network, whose peers are there as well. */
export function isLocalHost(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.local') ||
    LOCAL_IPV4.test(hostname) ||
    /^\[(?:::1|f[cd][0-9a-f:]*)\]$/.test(hostname)
  )
}

/** Whole addresses only: `10.example.org` is a name on the public Internet. */
const LOCAL_IPV4 =
  /^(?:127\.\d+\.\d+|10\.\d+\.\d+|192\.168\.\d+|169\.254\.\d+|172\.(?:1[6-9]|2\d|3[01])\.\d+)\.\d+$/
