import { parseArgs } from 'node:util'
import { type Address, StartError } from '@plexus/daemon'
import { isRelayAddress } from '@plexus/relay'
import type { AcmeFlags } from './acme.ts'
import { type AddressRange, readTrustedProxies } from './trusted-proxies.ts'
import { MAIL_HELP, MAIL_OPTIONS, type MailFlags, readAdmin, readMailFlags } from './mail-flags.ts'

export type Flags = {
  /** `undefined`: the port remembered in the data folder, else `DEFAULT_PORT`. 0: any free one. */
  readonly port: number | undefined
  readonly host: string
  readonly data: string
  /** Where the world reaches this relay when that is not `host` and `port`, for one behind a proxy. */
  readonly publicUrl: URL | undefined
  /** Proxies whose word on who comes to this relay counts. */
  readonly trustedProxies: readonly AddressRange[]
  /** Paths of the PEM files. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined
  /** A certificate is asked for. */
  readonly acme: AcmeFlags | undefined
  /** Multiaddrs of other relays, peer id included. */
  readonly peers: readonly string[]
  /** `undefined`: no mail is kept. */
  readonly mail: MailFlags | undefined
  /** Where the operator looks. */
  readonly admin: Address | undefined
}

export const DEFAULT_PORT = 8008
const DEFAULT_HOST = '127.0.0.1'
const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory'

export const HELP: string = `Plexus relay: lets nodes find each other, keeps mail for those that are away, and serves the web app.

  npm start -- [flags]

  --port <n>          port to listen on (${DEFAULT_PORT}, or the one used before; 0: any free one)
  --host <address>    address to listen on (${DEFAULT_HOST})
  --data <folder>     where identity, certificate, port and mail are kept (data, in this project)
  --public-url <url>  where others reach this relay, when a proxy stands in front of it
  --trusted-proxy <network>
                      address or network (10.0.0.0/8) of a proxy whose X-Forwarded-For tells who comes; may be repeated
  --tls-cert <file>   certificate chain (PEM); HTTPS together with --tls-key
  --tls-key <file>    its private key (PEM)
  --acme <name>       asks for a certificate of this name, at whose port 443 others reach this relay, and renews it;
                      who gives it has terms of service, to which this agrees
  --acme-email <address>
                      where the authority may write to
  --acme-directory <url>
                      the authority (${LETS_ENCRYPT})
  --acme-ca <file>    who signed its own certificate, where that is nobody known (PEM)
  --peer <multiaddr>  another relay, with its peer id: nodes of both find each other, and the app uses both; may be repeated
${MAIL_HELP}
  --help              this text`

const OPTIONS = {
  port: { type: 'string' },
  host: { type: 'string' },
  data: { type: 'string' },
  'public-url': { type: 'string' },
  'trusted-proxy': { type: 'string', multiple: true },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  acme: { type: 'string' },
  'acme-email': { type: 'string' },
  'acme-directory': { type: 'string' },
  'acme-ca': { type: 'string' },
  peer: { type: 'string', multiple: true },
  ...MAIL_OPTIONS,
  help: { type: 'boolean' },
} as const

function readPort(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (!(port <= 65_535)) throw new StartError(`--port ${text}: a port is a number from 0 to 65535`)
  return port
}

function readPublicUrl(text: string | undefined): URL | undefined {
  if (text === undefined) return undefined
  const url = URL.parse(text)
  const plain = url !== null && `${url.origin}/` === url.href && /^https?:$/.test(url.protocol)
  if (!plain)
    throw new StartError(`--public-url ${text}: must be like https://relay.example.org, with no path`)
  return url
}

/** Other relays that one is told of. */
const MAX_PEERS = 32

function readPeers(texts: readonly string[] = []): readonly string[] {
  if (texts.length > MAX_PEERS) throw new StartError(`--peer is given more than ${MAX_PEERS} times`)
  for (const text of texts) {
    if (!isRelayAddress(text))
      throw new StartError(`--peer ${text}: a multiaddr ends in /p2p/ and the relay's peer id`)
  }
  return texts
}

function readTls(cert: string | undefined, key: string | undefined): Flags['tls'] {
  if (cert === undefined && key === undefined) return undefined
  if (cert === undefined) throw new StartError('--tls-key needs --tls-cert as well')
  if (key === undefined) throw new StartError('--tls-cert needs --tls-key as well')
  return { cert, key }
}

/** Lower case labels, as certificates have them. */
const DNS_NAME = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$/

type AcmeValues = {
  readonly [Name in 'acme' | 'acme-email' | 'acme-directory' | 'acme-ca']?: string | undefined
}

function readAcme(values: AcmeValues, tls: Flags['tls']): AcmeFlags | undefined {
  const {
    acme: name,
    'acme-email': email,
    'acme-directory': directory = LETS_ENCRYPT,
    'acme-ca': caFile,
  } = values
  if (name === undefined) {
    if ((email ?? values['acme-directory'] ?? caFile) !== undefined)
      throw new StartError('--acme-email, --acme-directory and --acme-ca need --acme')
    return undefined
  }
  if (tls !== undefined) throw new StartError('--acme and --tls-cert exclude each other')
  if (!DNS_NAME.test(name)) throw new StartError(`--acme ${name}: must be a DNS name like relay.example.org`)
  if (URL.parse(directory)?.protocol !== 'https:')
    throw new StartError(`--acme-directory ${directory}: must be an https:// URL`)
  return { name, email, directory, caFile }
}

function parse(args: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'] {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: false }).values
  } catch (error) {
    // Node explains at length; its first sentence names the flag.
    const [sentence] = (error as Error).message.split(/\.\s|\n/, 1)
    throw new StartError(`${(sentence ?? '').replace(/\.$/, '')}; --help lists the flags`, { cause: error })
  }
}

/**
 * The command line, or `undefined` when it asks for help. `defaultData` is a folder.
 * @throws StartError that names the wrong flag.
 */
export function readFlags(args: readonly string[], defaultData: string): Flags | undefined {
  const values = parse(args)
  if (values.help === true) return undefined
  for (const name of ['host', 'data', 'tls-cert', 'tls-key'] as const) {
    if (values[name] === '') throw new StartError(`--${name} is empty`)
  }
  const host = values.host ?? DEFAULT_HOST
  const tls = readTls(values['tls-cert'], values['tls-key'])
  return {
    port: readPort(values.port),
    host: host === 'localhost' ? DEFAULT_HOST : host,
    data: values.data ?? defaultData,
    publicUrl: readPublicUrl(values['public-url']),
    trustedProxies: readTrustedProxies(values['trusted-proxy']),
    tls,
    acme: readAcme(values, tls),
    peers: readPeers(values.peer),
    mail: readMailFlags(values),
    admin: readAdmin(values),
  }
}
