import 'reflect-metadata'
import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import * as x509 from '@peculiar/x509'
import { WEBRTC_CERTIFICATE_MS, WEBRTC_CERTIFICATE_RENEW_MS } from './limits.ts'

/** A self-signed certificate for WebRTC-Direct; addresses name it by its hash. */
export type WebrtcCertificate = {
  /** PKCS #8 PEM. Secret. */
  readonly privateKey: string
  readonly pem: string
  /** Multibase base64url of the SHA-256 multihash of the DER form. */
  readonly certhash: string
}

/** What makes a relay the same relay after a restart. */
export type RelayIdentity = { readonly privateKey: PrivateKey; readonly webrtcCertificate: WebrtcCertificate }

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/**
 * Loads the identity kept in `folder`, or makes what is missing there. The WebRTC certificate is made anew in its
 * last month: addresses that name the old one end then.
 * @throws Error when the folder cannot be used or holds something else
 */
export async function loadRelayIdentity(folder: string, now: number): Promise<RelayIdentity> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return {
    privateKey: await loadPrivateKey(join(folder, 'relay.key')),
    webrtcCertificate: await loadCertificate(join(folder, 'webrtc.pem'), now),
  }
}

async function loadPrivateKey(path: string): Promise<PrivateKey> {
  const kept = await readIfThere(path)
  if (kept !== undefined) return privateKeyFromProtobuf(Buffer.from(kept.trim(), 'base64'))
  const key = await generateKeyPair('Ed25519')
  await writeSecret(path, `${Buffer.from(privateKeyToProtobuf(key)).toString('base64')}\n`)
  return key
}

async function loadCertificate(path: string, now: number): Promise<WebrtcCertificate> {
  const kept = await readIfThere(path)
  if (kept !== undefined) {
    const certificate = parsePem(kept)
    const left = new x509.X509Certificate(certificate.pem).notAfter.getTime() - now
    if (left > WEBRTC_CERTIFICATE_RENEW_MS) return certificate
  }
  const certificate = await makeCertificate(now)
  await writeSecret(path, `${certificate.privateKey}\n${certificate.pem}\n`)
  return certificate
}

function parsePem(text: string): WebrtcCertificate {
  const end = text.indexOf('-----BEGIN CERTIFICATE-----')
  if (end === -1) throw new Error('The file of the WebRTC certificate holds none')
  const pem = text.slice(end).trim()
  const { rawData } = new x509.X509Certificate(pem)
  return { privateKey: text.slice(0, end).trim(), pem, certhash: certhash(rawData) }
}

async function makeCertificate(now: number): Promise<WebrtcCertificate> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=plexus-relay',
      // Whole seconds: the format holds no fractions.
      notBefore: new Date(Math.floor(now / 1_000) * 1_000),
      notAfter: new Date(Math.floor((now + WEBRTC_CERTIFICATE_MS) / 1_000) * 1_000),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [new x509.BasicConstraintsExtension(false, undefined, true)],
    },
    crypto,
  )
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey)
  return {
    privateKey: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'),
    pem: certificate.toString('pem'),
    certhash: certhash(certificate.rawData),
  }
}

function certhash(der: ArrayBuffer): string {
  const digest = createHash('sha256').update(new Uint8Array(der)).digest()
  // Multihash: function sha2-256, 32 bytes; multibase `u`.
  return `u${Buffer.concat([Buffer.of(0x12, 0x20), digest]).toString('base64url')}`
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Whole or not at all, readable by the owner only. */
async function writeSecret(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`
  await writeFile(temporary, text, { mode: 0o600, flush: true })
  await rename(temporary, path)
}
