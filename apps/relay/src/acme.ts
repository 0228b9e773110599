/**
 * A certificate of an ACME authority (RFC 8555). The name is proved by TLS-ALPN-01 (RFC 8737): on the port that is served, with
 * nothing else open.
 */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import { StartError, type Tls, writeDurably } from '@plexus/daemon'
import type { Clock, Log } from '@plexus/engine/ports'
import acme from 'acme-client'

export type AcmeFlags = {
  /** The DNS name that the certificate is of, at whose port 443 others reach this relay. */
  readonly name: string
  readonly email: string | undefined
  /** URL of the authority's directory. */
  readonly directory: string
  /** Path of who signed the authority's own certificate (PEM), where that is nobody known. */
  readonly caFile: string | undefined
}

export type AcmeDeps = {
  readonly clock: Clock
  readonly log: Log
  /** Where the certificate and the key of the account are kept. */
  readonly folder: string
  /** There is a new certificate. */
  readonly changed: (tls: Tls) => void
}

export interface AcmeCertificate extends Disposable {
  /** The one that is kept, else one that nobody trusts, until there is another. */
  readonly tls: Tls
  /** Answers the authority, which connects to see that the name leads here. */
  answer(socket: TLSSocket, protocols: readonly string[]): string | undefined
  /** Begins to look after the certificate, once connections are answered. */
  start(): void
}

const CERTIFICATE = 'acme.pem'
const ACCOUNT = 'acme-account.pem'
/** RFC 8737 section 6.2 */
const PROTOCOL = 'acme-tls/1'
/** Milliseconds between looks, and after the first failure; each further one doubles that: authorities count failures. */
const LOOK_MS = 12 * 3_600_000
const FIRST_RETRY_MS = 15 * 60_000
/** Part of its time after which a certificate is renewed. */
const RENEW_AT = 2 / 3
const ANSWER_MS = 60_000

/** @throws StartError */
export async function openAcme(deps: AcmeDeps, flags: AcmeFlags): Promise<AcmeCertificate> {
  const { clock, log, folder } = deps
  const { name } = flags
  let kept = readKept(folder, name, clock.now())
  const tls = kept ?? (await placeholder(name))
  const account = await accountKey(folder)
  let challenge: SecureContext | undefined
  let cancel: () => void = () => undefined
  let isOver = false
  let failures = 0
  acme.axios.defaults.timeout = ANSWER_MS
  if (flags.caFile !== undefined) acme.axios.defaults.httpsAgent = new Agent({ ca: readCa(flags.caFile) })

  /** It serves also where there is no room for it, and the next start asks for another. */
  function keep({ cert }: Tls): void {
    try {
      writeDurably(folder, CERTIFICATE, cert.toString())
    } catch (error) {
      log.log('error', 'the certificate cannot be kept', { name, error: (error as Error).message })
    }
  }

  async function look(): Promise<void> {
    let nextMs = LOOK_MS
    if (kept === undefined || isDue(kept, clock.now())) {
      try {
        kept = await obtain(account, flags, (next) => (challenge = next))
        failures = 0
        deps.changed(kept)
        log.log('info', 'there is a new certificate', { name })
        keep(kept)
      } catch (error) {
        nextMs = Math.min(LOOK_MS, FIRST_RETRY_MS * 2 ** failures)
        failures += 1
        log.log('error', 'no certificate was given', { name, error: (error as Error).message, nextMs })
      }
    }
    if (!isOver) cancel = clock.after(nextMs, () => void look())
  }

  return {
    tls,
    answer(socket, protocols) {
      if (challenge === undefined || !protocols.includes(PROTOCOL)) return undefined
      socket.setKeyCert(challenge)
      return PROTOCOL
    },
    start: () => void look(),
    [Symbol.dispose]() {
      isOver = true
      cancel()
    },
  }
}

/** Asks for a certificate. `prove`: what to answer the authority with, until `undefined`. */
async function obtain(
  accountKey: Buffer,
  { name, email, directory }: AcmeFlags,
  prove: (challenge: SecureContext | undefined) => void,
): Promise<Tls> {
  const client = new acme.Client({ directoryUrl: directory, accountKey })
  const [key, csr] = await acme.crypto.createCsr(
    { commonName: name },
    await acme.crypto.createPrivateEcdsaKey(),
  )
  const chain = await client.auto({
    csr,
    ...(email === undefined ? {} : { email }),
    termsOfServiceAgreed: true,
    challengePriority: ['tls-alpn-01'],
    skipChallengeVerification: true,
    async challengeCreateFn(authorization, { type }: { type: string }, keyAuthorization) {
      if (type !== 'tls-alpn-01') throw new Error('the authority does not offer tls-alpn-01')
      const [challengeKey, cert] = await acme.crypto.createAlpnCertificate(authorization, keyAuthorization)
      prove(createSecureContext({ key: challengeKey, cert }))
    },
    challengeRemoveFn: () => Promise.resolve(prove(undefined)),
  })
  const pem = Buffer.from(`${chain.trim()}\n${key.toString()}`)
  return { cert: pem, key: pem }
}

function isDue({ cert }: Tls, now: number): boolean {
  const { validFrom, validTo } = new X509Certificate(cert)
  const from = Date.parse(validFrom)
  return now >= from + (Date.parse(validTo) - from) * RENEW_AT
}

/** `undefined` where there is none that serves. */
function readKept(folder: string, name: string, now: number): Tls | undefined {
  try {
    const pem = readFileSync(join(folder, CERTIFICATE))
    createSecureContext({ cert: pem, key: pem })
    const certificate = new X509Certificate(pem)
    const serves = certificate.checkHost(name) !== undefined && Date.parse(certificate.validTo) > now
    return serves ? { cert: pem, key: pem } : undefined
  } catch {
    return undefined
  }
}

async function placeholder(name: string): Promise<Tls> {
  const identifier = { type: 'dns', value: name }
  const authorization = { identifier } as Parameters<typeof acme.crypto.createAlpnCertificate>[0]
  const [key, cert] = await acme.crypto.createAlpnCertificate(authorization, '')
  return { key: Buffer.from(key), cert: Buffer.from(cert) }
}

async function accountKey(folder: string): Promise<Buffer> {
  try {
    return readFileSync(join(folder, ACCOUNT))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new StartError(`${join(folder, ACCOUNT)} cannot be read`, { cause: error })
  }
  const key = await acme.crypto.createPrivateEcdsaKey()
  writeDurably(folder, ACCOUNT, key.toString())
  return Buffer.from(key)
}

function readCa(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new StartError(`--acme-ca ${file} cannot be read`, { cause: error })
  }
}
