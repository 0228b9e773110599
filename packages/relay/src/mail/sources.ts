import { createHash } from 'node:crypto'
import type { Clock } from '@plexus/engine/ports'
import { createTokenBucket, type TokenBucket } from '@plexus/p2p/wire'
import {
  CLAIM_BURST,
  CLAIMS_PER_SECOND,
  MAX_SOURCES,
  SOURCE_TAG_CHARS,
  MAILS_PER_NAME_AT_ONCE,
  MAILS_PER_NAME_OVER_TIME,
} from '../limits.ts'

/** What one network address may do, all its connections together. */
export type Source = {
  /** Tells it from most others, in few bits: what is kept with a record on the disk is not to say whose address it was. */
  readonly tag: string
  readonly rate: TokenBucket
  /** Mailboxes that it makes. */
  readonly names: TokenBucket
  /** Names that it publishes the first record of. */
  readonly newcomers: TokenBucket
  /** One-time keys that it takes. */
  readonly claims: TokenBucket
  /** Bytes of its mail that are not on disk yet. */
  bytes: number
}

export type Sources = (address: string) => Source

/** The addresses that mail was left from or records published, the most lately seen `MAX_SOURCES`. */
export function createSources(
  clock: Clock,
  { depositsPerSecond, depositBurst }: { readonly depositsPerSecond: number; readonly depositBurst: number },
): Sources {
  const known = new Map<string, Source>()
  return (address) => {
    const name = sourceOf(address)
    const rate = (): TokenBucket => createTokenBucket(() => clock.now(), depositsPerSecond, depositBurst)
    const names = (): TokenBucket => {
      const burst = Math.max(1, depositBurst / MAILS_PER_NAME_AT_ONCE)
      return createTokenBucket(() => clock.now(), depositsPerSecond / MAILS_PER_NAME_OVER_TIME, burst)
    }
    const claims = (): TokenBucket => createTokenBucket(() => clock.now(), CLAIMS_PER_SECOND, CLAIM_BURST)
    const source = known.get(name) ?? {
      tag: tagOf(name),
      rate: rate(),
      names: names(),
      newcomers: names(),
      claims: claims(),
      bytes: 0,
    }
    known.delete(name)
    known.set(name, source)
    const [oldest] = known.keys()
    if (known.size > MAX_SOURCES && oldest !== undefined) known.delete(oldest)
    return source
  }
}

/** The host of a multiaddr, of an IPv6 address the network of one customer: /64. One that stands for an IPv4 address is that one. */
export function sourceOf(address: string): string {
  const [, kind = '', host = ''] = address.split('/', 3)
  if (kind !== 'ip6' || !URL.canParse(`http://[${host}]/`)) return host
  const [head = '', tail = ''] = new URL(`http://[${host}]/`).hostname.slice(1, -1).split('::', 2)
  const groups = head.split(':').filter((group) => group !== '')
  const after = tail.split(':').filter((group) => group !== '')
  const zeros = Array.from({ length: 8 - groups.length - after.length }, () => '0')
  const all = [...groups, ...zeros, ...after]
  if (all.slice(0, 6).join(':') !== '0:0:0:0:0:ffff') return all.slice(0, 4).join(':')
  return all
    .slice(6)
    .map((group) => Number.parseInt(group, 16))
    .flatMap((two) => [two >> 8, two & 0xff])
    .join('.')
}

/** See `Source.tag`. */
export function tagOf(source: string): string {
  return createHash('sha256').update(source).digest('hex').slice(0, SOURCE_TAG_CHARS)
}
