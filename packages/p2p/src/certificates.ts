import type { Clock, Log } from '@plexus/engine/ports'
import { errorText } from './error-text.ts'
import type { SignedCertificate } from './wire/hello.ts'

/** Milliseconds between looks at the certificate's age. */
const CERTIFICATE_CHECK_MS = 3_600_000
/** The part of its validity that is left when a certificate is renewed. */
const RENEW_AT = 1 / 3

export type CertificatesDeps = {
  readonly clock: Clock
  readonly log: Log
  /** A certificate for this node's peer id, signed by the name key. */
  certify(peerId: string): Promise<SignedCertificate>
  renewed(): void
}

/** Own certificate, renewed before it expires. */
export interface Certificates extends Disposable {
  /** @throws what `certify` throws */
  current(): Promise<SignedCertificate>
}

export function createCertificates(deps: CertificatesDeps, peerId: string): Certificates {
  const { clock } = deps
  let held: SignedCertificate | undefined
  let pending: Promise<SignedCertificate> | undefined

  function isFresh({ certificate }: SignedCertificate): boolean {
    const { notBefore, expires } = certificate
    const now = clock.now()
    // One of the future was made before the clock was set back.
    return notBefore <= now && expires - now > (expires - notBefore) * RENEW_AT
  }

  async function make(): Promise<SignedCertificate> {
    const renewal = held !== undefined
    try {
      held = await deps.certify(peerId)
      if (renewal) deps.renewed()
      return held
    } finally {
      pending = undefined
    }
  }

  async function current(): Promise<SignedCertificate> {
    if (held !== undefined && isFresh(held)) return held
    pending ??= make()
    // One that is about to expire still counts while its successor cannot be had.
    const usable = held !== undefined && held.certificate.expires > clock.now() ? held : undefined
    return usable === undefined ? pending : pending.catch(() => usable)
  }

  let cancel = clock.after(CERTIFICATE_CHECK_MS, check)
  function check(): void {
    cancel = clock.after(CERTIFICATE_CHECK_MS, check)
    if (held === undefined) return
    current().catch((error: unknown) => {
      deps.log.log('error', 'own certificate expired and was not renewed', { error: errorText(error) })
    })
  }

  return {
    current,
    [Symbol.dispose]() {
      cancel()
    },
  }
}
