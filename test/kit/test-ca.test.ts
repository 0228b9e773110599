import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createTestCa, type IssuedCertificate, type TestCa } from './test-ca.ts'

/** The status of an answer, or the code of the error. */
async function outcome(ca: TestCa, { cert, key }: IssuedCertificate, host: string): Promise<unknown> {
  const server = createServer({ cert, key }, (_incoming, outgoing) => outgoing.end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  try {
    return await new Promise((resolve) => {
      const options = { host, port, ca: ca.cert, family: 4, agent: false }
      request(options, ({ statusCode }) => resolve(statusCode))
        .on('error', (error: NodeJS.ErrnoException) => resolve(error.code))
        .end()
    })
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

describe('createTestCa', () => {
  it('issues certificates that prove the names in them, and no others', async () => {
    const ca = await createTestCa()
    const both = await ca.issue(['localhost', '127.0.0.1'])
    expect(await outcome(ca, both, 'localhost')).toBe(200)
    expect(await outcome(ca, both, '127.0.0.1')).toBe(200)
    expect(await outcome(ca, await ca.issue(['example.org']), 'localhost')).toBe(
      'ERR_TLS_CERT_ALTNAME_INVALID',
    )
    const expired = await ca.issue(['localhost'], { expired: true })
    expect(await outcome(ca, expired, 'localhost')).toBe('CERT_HAS_EXPIRED')
    expect(await outcome(await createTestCa(), both, 'localhost')).not.toBe(200)
  })

  it('writes them as files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'plexus-ca-'))
    try {
      const ca = await createTestCa()
      const paths = await ca.write(folder, ['localhost'])
      const issued = { cert: readFileSync(paths.cert, 'utf8'), key: readFileSync(paths.key, 'utf8') }
      expect(readFileSync(paths.ca, 'utf8')).toBe(ca.cert)
      expect(await outcome(ca, issued, 'localhost')).toBe(200)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
