/** A certificate authority for tests: servers on loopback prove the names that they have there. */
import 'reflect-metadata'
import { writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const HOUR_MS = 3_600_000

/** PEM texts. */
export type IssuedCertificate = { readonly cert: string; readonly key: string }

export interface TestCa {
  /** Its own certificate, PEM. */
  readonly cert: string
  /** For DNS names and IP addresses; valid for an hour, or expired since one. */
  issue(names: readonly string[], options?: { readonly expired?: boolean }): Promise<IssuedCertificate>
  /** Issues and writes `ca.pem`, `cert.pem` and `key.pem`, whose paths are the answer. */
  write(folder: string, names: readonly string[]): Promise<{ ca: string; cert: string; key: string }>
}

export async function createTestCa(): Promise<TestCa> {
  const { subtle } = crypto
  const generate = (): Promise<CryptoKeyPair> => subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const keys = await generate()
  const ca = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=Plexus test CA',
      ...validity(false),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      ],
    },
    crypto,
  )
  const issue: TestCa['issue'] = async (names, { expired = false } = {}) => {
    const own = await generate()
    const certificate = await x509.X509CertificateGenerator.create(
      {
        subject: 'CN=Plexus test server',
        issuer: ca.subject,
        ...validity(expired),
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        extensions: [
          new x509.SubjectAlternativeNameExtension(
            names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
          ),
        ],
      },
      crypto,
    )
    const pkcs8 = await subtle.exportKey('pkcs8', own.privateKey)
    return { cert: certificate.toString('pem'), key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') }
  }
  const cert = ca.toString('pem')
  return {
    cert,
    issue,
    async write(folder, names) {
      const issued = await issue(names)
      const paths = {
        ca: join(folder, 'ca.pem'),
        cert: join(folder, 'cert.pem'),
        key: join(folder, 'key.pem'),
      }
      writeFileSync(paths.ca, cert)
      writeFileSync(paths.cert, issued.cert)
      writeFileSync(paths.key, issued.key)
      return paths
    },
  }
}

/** In whole seconds: the format holds no fractions. */
function validity(expired: boolean): { readonly notBefore: Date; readonly notAfter: Date } {
  const now = Math.floor(Date.now() / 1_000) * 1_000
  return { notBefore: new Date(now - 24 * HOUR_MS), notAfter: new Date(now + (expired ? -HOUR_MS : HOUR_MS)) }
}
