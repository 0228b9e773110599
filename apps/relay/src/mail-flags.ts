/** The flags of mailboxes. */
import { type Address, parseAddress, StartError } from '@plexus/daemon'
import { DEFAULT_MAIL_POLICY, MAX_PROOF_BITS, type LaneQuota, type MailPolicy } from '@plexus/relay'

const DAY_MS = 24 * 3_600_000
const MB = 1_000_000
const DEFAULT_DISK_MB = 10_000
const MODES = ['open', 'token', 'list'] as const

export type MailFlags = Omit<MailPolicy, 'registration'> & {
  /** Who may register; the file holds the token, or the names. */
  readonly registration: { readonly mode: (typeof MODES)[number]; readonly file: string | undefined }
  /** Bytes on disk, all mail together. */
  readonly maxBytes: number
  /** The cluster that mail is kept in; `undefined`: in the data folder. */
  readonly nats: NatsFlags | undefined
}

type NatsFlags = {
  readonly servers: readonly string[]
  /** Paths of the files with what the servers ask for, and with who signed their certificates. */
  readonly tokenFile: string | undefined
  readonly caFile: string | undefined
}

export const MAIL_OPTIONS = {
  mail: { type: 'string' },
  'mail-boxes': { type: 'string' },
  'mail-days': { type: 'string' },
  'mail-disk-mb': { type: 'string' },
  'mail-quota': { type: 'string', multiple: true },
  'mail-rate': { type: 'string' },
  'mail-proof-bits': { type: 'string' },
  'mail-registration': { type: 'string' },
  'mail-registration-file': { type: 'string' },
  'mail-nats': { type: 'string', multiple: true },
  'mail-nats-token-file': { type: 'string' },
  'mail-nats-ca': { type: 'string' },
  admin: { type: 'string' },
} as const

type Lists = 'mail-quota' | 'mail-nats'
type Values = { readonly [Name in Exclude<keyof typeof MAIL_OPTIONS, Lists>]?: string | undefined } & {
  readonly [Name in Lists]?: string[] | undefined
}

const policy = DEFAULT_MAIL_POLICY
const quotaText = (lane: keyof MailPolicy['quotas']): string =>
  `${lane}=${policy.quotas[lane].mails},${Math.round(policy.quotas[lane].bytes / MB)}`

export const MAIL_HELP: string = `  --mail on|off       keep mail for nodes that are away (on)
  --mail-boxes <n>    nodes that mail is kept for (${policy.maxMailboxes})
  --mail-days <n>     days that a mail is kept at most (${policy.retentionMs / DAY_MS})
  --mail-disk-mb <n>  megabytes on disk, all together (${DEFAULT_DISK_MB})
  --mail-quota <lane>=<mails>,<MB>
                      what one node's lane holds (${quotaText('keys')} ${quotaText('events')} ${quotaText('strangers')})
  --mail-rate <n>     mails of 4 KiB a second that one address leaves, over time (${policy.depositsPerSecond})
  --mail-proof-bits <n>
                      work that strangers do for a mail: each bit doubles it (${policy.proofBits})
  --mail-registration open|token|list
                      whose mail is kept: everybody's, of who has the token, of the names listed (open)
  --mail-registration-file <file>
                      the token, or the names, one a line
  --mail-nats <url>   a server of the NATS cluster that several relays keep mail in; one flag each
  --mail-nats-token-file <file>
                      what the servers ask for
  --mail-nats-ca <file>
                      who signed their certificates, where that is nobody known (PEM)
  --admin <host:port> where /health, /ready and /metrics are served (nowhere)`

function readNumber(flag: string, text: string | undefined, fallback: number, max: number): number {
  if (text === undefined) return fallback
  const number = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN
  if (!(number <= max)) throw new StartError(`--${flag} ${text}: must be a number up to ${max}`)
  return number
}

/** Senders leave mail nowhere where it is kept for less than a day. */
function readDays(text: string | undefined): number {
  const days = readNumber('mail-days', text, policy.retentionMs / DAY_MS, 365)
  if (days === 0) throw new StartError('--mail-days 0: must be 1 or more; --mail off keeps none')
  return days
}

function readQuotas(texts: readonly string[]): MailPolicy['quotas'] {
  const quotas: Record<string, LaneQuota> = { ...policy.quotas }
  for (const text of texts) {
    const [, lane = '', mails, megabytes] = /^(keys|events|strangers)=(\d{1,9}),(\d{1,9})$/.exec(text) ?? []
    if (lane === '') throw new StartError(`--mail-quota ${text}: must be like events=20000,128`)
    quotas[lane] = { mails: Number(mails), bytes: Number(megabytes) * MB }
  }
  return quotas as MailPolicy['quotas']
}

function readRegistration(values: Values): MailFlags['registration'] {
  const text = values['mail-registration'] ?? 'open'
  const file = values['mail-registration-file']
  const mode = MODES.find((known) => known === text)
  if (mode === undefined) throw new StartError(`--mail-registration ${text}: must be open, token or list`)
  if ((mode === 'open') !== (file === undefined || file === ''))
    throw new StartError('--mail-registration token and list need --mail-registration-file, and only they')
  return { mode, file }
}

const MAX_NATS_SERVERS = 16

function readNats(values: Values): NatsFlags | undefined {
  const { 'mail-nats': servers = [], 'mail-nats-token-file': tokenFile, 'mail-nats-ca': caFile } = values
  if (servers.length > MAX_NATS_SERVERS)
    throw new StartError(`--mail-nats is given more than ${MAX_NATS_SERVERS} times`)
  for (const server of servers) {
    if (!/^(?:nats|tls):\/\/[^\s/@]+$/.test(server) || !URL.canParse(server))
      throw new StartError(
        '--mail-nats must be like nats://10.0.0.1:4222, with tls:// for TLS, and no token in it',
      )
  }
  if (servers.length > 0) return { servers, tokenFile, caFile }
  if ((tokenFile ?? caFile) !== undefined)
    throw new StartError('--mail-nats-token-file and --mail-nats-ca need --mail-nats')
  return undefined
}

/** `undefined` for a relay that keeps no mail. @throws StartError */
export function readMailFlags(values: Values): MailFlags | undefined {
  const { mail = 'on' } = values
  if (mail !== 'on' && mail !== 'off') throw new StartError(`--mail ${mail}: must be on or off`)
  const rate = readNumber('mail-rate', values['mail-rate'], policy.depositsPerSecond, 1_000_000)
  const flags = {
    maxMailboxes: readNumber('mail-boxes', values['mail-boxes'], policy.maxMailboxes, 10_000_000),
    retentionMs: readDays(values['mail-days']) * DAY_MS,
    maxBytes: readNumber('mail-disk-mb', values['mail-disk-mb'], DEFAULT_DISK_MB, 100_000_000) * MB,
    quotas: readQuotas(values['mail-quota'] ?? []),
    depositsPerSecond: rate,
    depositBurst: rate * (policy.depositBurst / policy.depositsPerSecond),
    proofBits: readNumber('mail-proof-bits', values['mail-proof-bits'], policy.proofBits, MAX_PROOF_BITS),
    registration: readRegistration(values),
    nats: readNats(values),
  }
  return mail === 'on' ? flags : undefined
}

/** `undefined` where the operator wants none. @throws StartError */
export function readAdmin({ admin }: Values): Address | undefined {
  if (admin === undefined) return undefined
  const address = parseAddress(admin)
  if (address === undefined)
    throw new StartError(`--admin ${admin}: must be HOST:PORT, such as 127.0.0.1:8012`)
  return address
}
