/** What a node is told: by flags, environment and a file, in this order, all of one schema. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { isValidNewLocalpart, parseServerName, type ServerName } from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import { parseAddress, StartError, type Address } from '@plexus/daemon'
import type { LogLevel } from '@plexus/engine/ports'
import * as v from 'valibot'

/** A configuration file is small; one beyond this is not ours. In UTF-16 code units. */
const MAX_FILE_LENGTH = 65_536
/** Of one kind: to listen on, to announce, of relays. */
const MAX_ADDRESSES = 64
const MAX_ADMINS = 64
const MAX_TURN_URIS = 16
const MAX_APP_SERVICES = 64
const MAX_AUTHORITIES = 16
const MAX_NOTARIES = 4

/** A key's schema from text, or a list of it. */
type Schema<T> = v.GenericSchema<unknown, T>

/** `host:port`, with an IPv6 host in brackets. */
const hostAndPort: Schema<Address> = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): Address => {
    const parsed = parseAddress(dataset.value)
    if (parsed !== undefined) return parsed
    addIssue({ message: 'must be HOST:PORT, such as 127.0.0.1:8010' })
    return NEVER
  }),
)

const address = (fallback: string): Schema<Address> => v.optional(hostAndPort, fallback)

const nonEmpty = v.pipe(v.string(), v.nonEmpty('is empty'))

const multiaddrs: Schema<readonly string[]> = v.optional(
  v.pipe(
    v.array(v.pipe(v.string(), v.startsWith('/', 'must be a multiaddr, such as /ip4/0.0.0.0/tcp/4001/ws'))),
    v.maxLength(MAX_ADDRESSES, `has more than ${MAX_ADDRESSES} entries`),
  ),
  [],
)

const localparts: Schema<readonly string[]> = v.optional(
  v.pipe(
    v.array(
      v.pipe(v.string(), v.check(isValidNewLocalpart, 'must be the first part of a user id, without @')),
    ),
    v.maxLength(MAX_ADMINS, `has more than ${MAX_ADMINS} entries`),
  ),
  [],
)

const turnUris: Schema<readonly string[]> = v.optional(
  v.pipe(
    v.array(
      v.pipe(v.string(), v.regex(/^turns?:[^\s]+$/, 'must be a TURN URI, such as turn:turn.example.org')),
    ),
    v.maxLength(MAX_TURN_URIS, `has more than ${MAX_TURN_URIS} entries`),
  ),
  [],
)

const files = (max: number): Schema<readonly string[]> =>
  v.optional(v.pipe(v.array(nonEmpty), v.maxLength(max, `has more than ${max} entries`)), [])

const oneOf = <const T extends readonly string[]>(all: T, fallback: T[number]): Schema<T[number]> =>
  v.optional(v.picklist(all, `must be one of ${all.join(', ')}`), fallback)

const onOrOff: Schema<boolean> = v.optional(v.boolean('must be true or false'), false)

const anyServerName = v.pipe(
  v.string(),
  v.check((name) => parseServerName(name) !== undefined, 'is no server name'),
)
const notaries: Schema<readonly string[]> = v.optional(
  v.pipe(v.array(anyServerName), v.maxLength(MAX_NOTARIES, `has more than ${MAX_NOTARIES} entries`)),
  [],
)
const serverName: Schema<string | undefined> = v.optional(
  v.pipe(
    anyServerName,
    v.check((name) => !isKeyName(name as ServerName), 'is a key: such a name is made, not given'),
  ),
)

const nameSuffix: Schema<string | undefined> = v.optional(
  v.pipe(v.string(), v.regex(/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/, 'must be a domain, such as gw.example.org')),
)

export type Config = {
  readonly data: string
  readonly clientApi: Address
  readonly admin: Address
  readonly serverName: string | undefined
  /** The domain under which a name that is a key stands. */
  readonly nameSuffix?: string | undefined
  /** Where other servers connect over HTTPS; over HTTP where no certificate is given, for a proxy in front. */
  readonly federation?: Address | undefined
  readonly tlsCert?: string | undefined
  readonly tlsKey?: string | undefined
  /** PEM files of authorities that other servers' certificates may be of. */
  readonly ca: readonly string[]
  /** `name=host:port`, separated by commas, and a file of such lines. */
  readonly federationResolve?: string | undefined
  readonly federationResolveFile?: string | undefined
  /** What `/.well-known/matrix/server` says beside the Client-Server API. */
  readonly wellKnownServer?: string | undefined
  /** Servers that tell the keys of such as do not answer. */
  readonly notary: readonly string[]
  readonly listen: readonly string[]
  readonly announce: readonly string[]
  readonly relay: readonly string[]
  /** File with the tokens of relays that keep mail for who has one. */
  readonly mailTokenFile?: string | undefined
  readonly lan: boolean
  /** Nodes of the local network find each other, in LAN mode. */
  readonly mdns: boolean
  readonly registration: 'open' | 'token' | 'closed'
  /** Localparts. */
  readonly adminUser: readonly string[]
  readonly rateLimits: 'on' | 'off'
  readonly trustProxy: boolean
  /** TURN servers of voice and video calls, and the file with the secret that is shared with them. */
  readonly turnUri: readonly string[]
  readonly turnSecretFile?: string | undefined
  /** Files with the registrations of application services. */
  readonly appservice: readonly string[]
  /** Off by default: pages that users name learn this node's address, and when it is used. */
  readonly urlPreviews: 'on' | 'off'
  /** Addresses that strangers name may be of loopback and private networks. */
  readonly privateAddresses: boolean
  /** Another device that took the node's name over gives it back. */
  readonly takeBack: boolean
  readonly logLevel: LogLevel
}

const schemaOf = (defaultData: string): Schema<Config> =>
  v.strictObject({
    data: v.optional(nonEmpty, defaultData),
    clientApi: address('127.0.0.1:8010'),
    admin: address('127.0.0.1:8011'),
    serverName,
    nameSuffix,
    federation: v.optional(hostAndPort),
    tlsCert: v.optional(nonEmpty),
    tlsKey: v.optional(nonEmpty),
    ca: files(MAX_AUTHORITIES),
    federationResolve: v.optional(v.string()),
    federationResolveFile: v.optional(nonEmpty),
    wellKnownServer: v.optional(anyServerName),
    notary: notaries,
    listen: multiaddrs,
    announce: multiaddrs,
    relay: multiaddrs,
    mailTokenFile: v.optional(nonEmpty),
    lan: onOrOff,
    mdns: onOrOff,
    registration: oneOf(['open', 'token', 'closed'], 'token'),
    adminUser: localparts,
    rateLimits: oneOf(['on', 'off'], 'on'),
    trustProxy: onOrOff,
    turnUri: turnUris,
    turnSecretFile: v.optional(nonEmpty),
    appservice: files(MAX_APP_SERVICES),
    urlPreviews: oneOf(['on', 'off'], 'off'),
    privateAddresses: onOrOff,
    takeBack: onOrOff,
    logLevel: oneOf(['debug', 'info', 'warn', 'error'], 'info'),
  })

export const HELP: string = `Plexus node: a Matrix homeserver without a window.

  npm run node -- [flags]

  --data <folder>             where everything is kept (data/node, in this project)
  --client-api <host:port>    where Matrix clients connect (127.0.0.1:8010; port 0: any free one)
  --admin <host:port>         where /health, /ready, /metrics and /reports are served (127.0.0.1:8011)
  --server-name <name>        name of the server (none: the name is the node's key). It cannot be changed later
  --name-suffix <domain>      the name is the node's key under this domain, for libp2p and HTTPS; for ever as well
  --federation <host:port>    where other servers connect over HTTPS (none); over HTTP without --tls-cert, for a proxy
  --tls-cert <file>           its certificate with what leads to an authority, PEM; read anew when it changes
  --tls-key <file>            its private key, PEM
  --ca <file>                 an authority that other servers' certificates may be of, PEM; may be repeated
  --well-known-server <name>  where other servers find this one, told by /.well-known/matrix/server at --client-api
  --federation-resolve <map>  places of servers, name=host:port separated by commas, for tests
  --federation-resolve-file <file>  the same, one a line, read again for a name that is missing
  --notary <name>             server that is asked for the keys of such as do not answer; may be repeated
  --listen <multiaddr>        address to take libp2p connections on; may be repeated
  --announce <multiaddr>      address under which others reach this node, where that is another; may be repeated
  --relay <multiaddr>         relay to be reached through; may be repeated
  --mail-token-file <file>    tokens of relays that keep mail only for who has one; a line for each: peer id, token
  --lan                       peers at private addresses may be dialled
  --mdns                      with --lan: nodes on the local network find each other
  --registration <mode>       who may make an account: open, token (default; the token is in the data folder) or closed
  --admin-user <name>         who administers the server (the first part of the user id); may be repeated
  --rate-limits <on|off>      limits on what one client may ask (on)
  --trust-proxy               the client's address is what a proxy in front says (X-Forwarded-For)
  --turn-uri <uri>            TURN server for calls, such as turn:turn.example.org?transport=udp; may be repeated
  --turn-secret-file <file>   the secret that is shared with it (static-auth-secret of coturn)
  --appservice <file>         the registration of an application service (bridge, bot), YAML; may be repeated
  --url-previews <on|off>     the node reads web pages for previews of links (off)
  --private-addresses         what users name on the web may be on this machine and in private networks, for tests
  --take-back                 where another device took over the name of this node: takes it back. Say it once
  --log-level <level>         debug, info, warn or error (info); read anew, with the certificate, at SIGHUP
  --config <file>             a JSON file with the same keys (clientApi, rateLimits, …)
  --help                      this text

Each flag can stand in the environment as well (PLEXUS_CLIENT_API, lists separated by commas). Flags go before the
environment, and that before the file.`

const FLAGS = {
  data: { type: 'string' },
  'client-api': { type: 'string' },
  admin: { type: 'string' },
  'server-name': { type: 'string' },
  'name-suffix': { type: 'string' },
  federation: { type: 'string' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  ca: { type: 'string', multiple: true },
  'federation-resolve': { type: 'string' },
  'federation-resolve-file': { type: 'string' },
  'well-known-server': { type: 'string' },
  notary: { type: 'string', multiple: true },
  listen: { type: 'string', multiple: true },
  announce: { type: 'string', multiple: true },
  relay: { type: 'string', multiple: true },
  'mail-token-file': { type: 'string' },
  lan: { type: 'boolean' },
  mdns: { type: 'boolean' },
  registration: { type: 'string' },
  'admin-user': { type: 'string', multiple: true },
  'rate-limits': { type: 'string' },
  'trust-proxy': { type: 'boolean' },
  'turn-uri': { type: 'string', multiple: true },
  'turn-secret-file': { type: 'string' },
  appservice: { type: 'string', multiple: true },
  'url-previews': { type: 'string' },
  'private-addresses': { type: 'boolean' },
  'take-back': { type: 'boolean' },
  'log-level': { type: 'string' },
  config: { type: 'string' },
  help: { type: 'boolean' },
} as const

type FlagName = keyof typeof FLAGS
const LISTS: ReadonlySet<string> = new Set([
  'notary',
  'listen',
  'announce',
  'relay',
  'admin-user',
  'turn-uri',
  'appservice',
  'ca',
])
const SWITCHES: ReadonlySet<string> = new Set([
  'lan',
  'mdns',
  'trust-proxy',
  'private-addresses',
  'take-back',
])

/** `clientApi` of `client-api`. */
const keyOf = (name: string): string => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
/** `PLEXUS_CLIENT_API` of `client-api`. */
const variableOf = (name: string): string => `PLEXUS_${name.replaceAll('-', '_').toUpperCase()}`
/** What test suites of others call them. */
const OTHER_VARIABLES: Readonly<Record<string, string>> = {
  'federation-resolve': 'FED_RESOLVE',
  'federation-resolve-file': 'FED_RESOLVE_FILE',
}

/** One source of settings, and what a key is called there. */
type Source = { readonly values: Readonly<Record<string, unknown>>; readonly nameOf: (key: string) => string }

function readFlags(
  args: readonly string[],
): ReturnType<typeof parseArgs<{ options: typeof FLAGS }>>['values'] {
  try {
    return parseArgs({ args: [...args], options: FLAGS, allowPositionals: false }).values
  } catch (error) {
    // Node explains at length; its first sentence names the flag.
    const [sentence] = (error as Error).message.split(/\.\s|\n/, 1)
    throw new StartError(`${(sentence ?? '').replace(/\.$/, '')}; --help lists the flags`, { cause: error })
  }
}

const FLAG_NAMES: readonly FlagName[] = Object.keys(FLAGS) as FlagName[]
const nameOfKey = (key: string): string => FLAG_NAMES.find((name) => keyOf(name) === key) ?? key

function fromFlags(values: Readonly<Record<string, unknown>>): Source {
  const { config: _config, help: _help, ...rest } = values
  const entries = Object.entries(rest).map(([name, value]) => [keyOf(name), value])
  return { values: Object.fromEntries(entries), nameOf: (key) => `--${nameOfKey(key)}` }
}

function fromEnvironment(environment: Readonly<Record<string, string | undefined>>): Source {
  const entries = FLAG_NAMES.flatMap((name) => {
    const text = environment[variableOf(name)] ?? environment[OTHER_VARIABLES[name] ?? '']
    if (text === undefined || name === 'config' || name === 'help') return []
    return [[keyOf(name), LISTS.has(name) ? split(text) : SWITCHES.has(name) ? switchOf(text) : text]]
  })
  return { values: Object.fromEntries(entries), nameOf: (key) => variableOf(nameOfKey(key)) }
}

const split = (text: string): readonly string[] => text.split(',').flatMap((part) => part.trim() || [])
const switchOf = (text: string): boolean | string =>
  text === 'true' ? true : text === 'false' ? false : text

function fromFile(path: string): Source {
  const nameOf = (key: string): string => `${key} in ${path}`
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new StartError(`the configuration ${path} cannot be read (${code})`, { cause: error })
  }
  try {
    const value: unknown = text.length > MAX_FILE_LENGTH ? undefined : JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return { values: value as Readonly<Record<string, unknown>>, nameOf }
  } catch (error) {
    throw new StartError(`the configuration ${path} is not JSON: ${(error as Error).message}`, {
      cause: error,
    })
  }
  throw new StartError(
    `the configuration ${path} is not a JSON object of at most ${MAX_FILE_LENGTH} characters`,
  )
}

/**
 * The configuration, or `undefined` when the command line asks for help. `defaultData` is a folder.
 * @throws StartError that names the wrong key as it is called where it stands.
 */
export function readConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  defaultData: string,
): Config | undefined {
  const flags = readFlags(args)
  if (flags.help === true) return undefined
  const file = flags.config ?? environment['PLEXUS_CONFIG']
  const sources = [
    fromFlags(flags),
    fromEnvironment(environment),
    ...(file === undefined ? [] : [fromFile(file)]),
  ]
  const merged = Object.assign({}, ...sources.toReversed().map(({ values }) => values)) as Record<
    string,
    unknown
  >
  const result = v.safeParse(schemaOf(defaultData), merged)
  if (result.success) return result.output
  const [issue] = result.issues
  const key = (v.getDotPath(issue) ?? '').split('.', 1)[0] ?? ''
  const source = sources.find(({ values }) => Object.hasOwn(values, key))
  const name = source?.nameOf(key) ?? key
  if (issue.type === 'strict_object') throw new StartError(`${name} is not known; --help lists the keys`)
  throw new StartError(`${name} ${issue.message.startsWith('Invalid') ? 'has a wrong type' : issue.message}`)
}
