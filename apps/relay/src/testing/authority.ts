/** A small ACME authority on loopback (RFC 8555), and certificates for tests. */
import 'reflect-metadata'
import { createHash, createPublicKey, randomUUID, verify, type webcrypto, X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { connect } from 'node:tls'
import {
  BasicConstraintsExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const HOUR_MS = 3_600_000

/** A self-signed certificate of a name, and its key, valid for an hour. */
export async function makeCertificate(
  name = 'relay.example.org',
): Promise<{ cert: string; key: string; keys: CryptoKeyPair }> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const cert = await X509CertificateGenerator.createSelfSigned(
    {
      name: `CN=${name}`,
      serialNumber: '01',
      notAfter: new Date(Date.now() + HOUR_MS),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new BasicConstraintsExtension(true, undefined, true),
        new SubjectAlternativeNameExtension([{ type: name === '127.0.0.1' ? 'ip' : 'dns', value: name }]),
      ],
    },
    crypto,
  )
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  return {
    cert: cert.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`,
    keys,
  }
}

export interface Authority extends AsyncDisposable {
  readonly directory: string
  /** PEM of what signs its certificates, and its own. */
  readonly ca: string
  /** Certificates given. */
  readonly given: number
  /** Port at which names are looked for, on loopback. */
  port: number
  /** Milliseconds that certificates have been valid for, of an hour. */
  ageMs: number
}

type Jws = { protected: string; payload: string; signature: string }

/** Gives certificates to who answers for a name by TLS-ALPN-01. */
export async function startAuthority(caFile: string): Promise<Authority> {
  const { cert: ca, key, keys } = await makeCertificate('127.0.0.1')
  writeFileSync(caFile, ca)
  const token = randomUUID()
  let account: webcrypto.JsonWebKey = {}
  let status = 'pending'
  let chain = ''
  const state = { given: 0, port: 0, ageMs: 0 }
  const server = createServer({ cert: ca, key }, (request, response) => {
    answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)))
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const base = `https://127.0.0.1:${(server.address() as AddressInfo).port}`

  const paths: Record<string, (payload: Record<string, string>) => unknown> = {
    '/account': () => ({ status: 'valid' }),
    '/order': () => order(),
    '/new-order': () => {
      status = 'pending'
      chain = ''
      return order()
    },
    '/authorization': () => authorization(),
    '/challenge': async (payload) => {
      if (Object.keys(payload).length === 0 && status === 'pending')
        status = (await isProved()) ? 'valid' : 'invalid'
      return authorization().challenges[0]
    },
    '/finalize': async ({ csr = '' }) => {
      chain = await sign(Buffer.from(csr, 'base64url'))
      return order()
    },
  }
  const order = (): object => ({
    status: chain === '' ? 'pending' : 'valid',
    identifiers: [{ type: 'dns', value: 'relay.example.org' }],
    authorizations: [`${base}/authorization`],
    finalize: `${base}/finalize`,
    certificate: `${base}/certificate`,
  })
  const authorization = (): { status: string; identifier: object; challenges: object[] } => ({
    status: status === 'pending' ? 'pending' : status,
    identifier: { type: 'dns', value: 'relay.example.org' },
    challenges: [{ type: 'tls-alpn-01', url: `${base}/challenge`, token, status }],
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? ''
    response.setHeader('Replay-Nonce', randomUUID())
    if (request.method !== 'POST') {
      const names = { newNonce: 'nonce', newAccount: 'account', newOrder: 'new-order' }
      const urls = Object.entries(names).map(([name, place]) => [name, `${base}/${place}`])
      response.end(JSON.stringify(Object.fromEntries(urls)))
      return
    }
    const payload = payloadOf((await json(request)) as Jws)
    if (path === '/certificate') return void response.end(chain)
    const isNew = path === '/account' || path === '/new-order'
    if (isNew) response.setHeader('Location', `${base}/${path === '/account' ? 'account' : 'order'}`)
    response.writeHead(isNew ? 201 : 200).end(JSON.stringify(await paths[path]?.(payload)))
  }

  /** RFC 8555 section 6.2 */
  function payloadOf(jws: Jws): Record<string, string> {
    const head = JSON.parse(Buffer.from(jws.protected, 'base64url').toString()) as {
      jwk?: webcrypto.JsonWebKey
    }
    account = head.jwk ?? account
    const signed = Buffer.from(`${jws.protected}.${jws.payload}`)
    const signer = {
      key: createPublicKey({ key: account, format: 'jwk' }),
      dsaEncoding: 'ieee-p1363',
    } as const
    if (!verify('sha256', signed, signer, Buffer.from(jws.signature, 'base64url')))
      throw new Error('not signed')
    return jws.payload === ''
      ? {}
      : (JSON.parse(Buffer.from(jws.payload, 'base64url').toString()) as Record<string, string>)
  }

  /** RFC 8737 section 3 */
  function isProved(): Promise<boolean> {
    const { crv, kty, x, y } = account
    const thumbprint = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')
    const digest = createHash('sha256').update(`${token}.${thumbprint}`).digest('hex')
    return new Promise((resolve) => {
      const where = { host: '127.0.0.1', port: state.port, servername: 'relay.example.org' }
      const socket = connect({ ...where, ALPNProtocols: ['acme-tls/1'], rejectUnauthorized: false }, () => {
        const { raw } = socket.getPeerCertificate()
        const names = new X509Certificate(raw).checkHost('relay.example.org')
        resolve(
          socket.alpnProtocol === 'acme-tls/1' && names !== undefined && raw.toString('hex').includes(digest),
        )
        socket.destroy()
      })
      socket.once('error', () => resolve(false))
    })
  }

  async function sign(csr: Buffer): Promise<string> {
    const request = new Pkcs10CertificateRequest(new Uint8Array(csr))
    const notBefore = new Date(Date.now() - state.ageMs)
    state.given += 1
    const cert = await X509CertificateGenerator.create(
      {
        subject: 'CN=relay.example.org',
        issuer: 'CN=127.0.0.1',
        serialNumber: `${state.given + 1}`.padStart(2, '0'),
        notBefore,
        notAfter: new Date(notBefore.getTime() + HOUR_MS),
        publicKey: await request.publicKey.export(ALGORITHM, ['verify'], crypto),
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: 'relay.example.org' }])],
      },
      crypto,
    )
    return cert.toString('pem')
  }

  return Object.assign(state, {
    directory: `${base}/directory`,
    ca,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
}
