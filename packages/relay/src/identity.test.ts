import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadRelayIdentity } from './identity.ts'
import { WEBRTC_CERTIFICATE_MS, WEBRTC_CERTIFICATE_RENEW_MS } from './limits.ts'

const NOW = Date.UTC(2026, 5, 1)
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plexus-relay-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe("a relay's identity", () => {
  it('is the same after a restart', async () => {
    const first = await loadRelayIdentity(folder, NOW)
    const second = await loadRelayIdentity(folder, NOW + 1_000)
    expect(second.privateKey.equals(first.privateKey)).toBe(true)
    expect(second.webrtcCertificate).toEqual(first.webrtcCertificate)
  })

  it('has a certificate for a year, named by the hash of its DER form', async () => {
    const { webrtcCertificate } = await loadRelayIdentity(folder, NOW)
    const certificate = new X509Certificate(webrtcCertificate.pem)
    expect(certificate.validToDate.getTime() - NOW).toBe(WEBRTC_CERTIFICATE_MS)
    const hash = Buffer.from(certificate.fingerprint256.replaceAll(':', ''), 'hex')
    const multihash = Buffer.concat([Buffer.of(0x12, 0x20), hash]).toString('base64url')
    expect(webrtcCertificate.certhash).toBe(`u${multihash}`)
  })

  it('keeps its peer id when the certificate is due', async () => {
    const first = await loadRelayIdentity(folder, NOW)
    const soon = NOW + WEBRTC_CERTIFICATE_MS - WEBRTC_CERTIFICATE_RENEW_MS - 1_000
    expect((await loadRelayIdentity(folder, soon)).webrtcCertificate).toEqual(first.webrtcCertificate)
    const due = await loadRelayIdentity(folder, soon + 2_000)
    expect(due.webrtcCertificate.certhash).not.toBe(first.webrtcCertificate.certhash)
    expect(due.privateKey.equals(first.privateKey)).toBe(true)
  })

  it('is readable by its owner only', async () => {
    await loadRelayIdentity(folder, NOW)
    for (const name of ['relay.key', 'webrtc.pem'])
      expect((await stat(join(folder, name))).mode & 0o077).toBe(0)
  })

  it('is not replaced when what is there cannot be read', async () => {
    await loadRelayIdentity(folder, NOW)
    const path = join(folder, 'relay.key')
    await writeFile(path, 'garbage')
    await expect(loadRelayIdentity(folder, NOW)).rejects.toThrow()
    expect(await readFile(path, 'utf8')).toBe('garbage')
  })
})
