import type { ServerName } from '@plexus/core'
import type { Clock } from '@plexus/engine/ports'
import { expect, it } from 'vitest'
import { createCertificates } from './certificates.ts'

const DAY_MS = 86_400_000

it('a certificate of a clock that was ahead is made anew once that is set right', async () => {
  let now = Date.UTC(2026, 0, 1)
  const clock: Clock = { now: () => now, after: () => () => undefined }
  const certify = async (peerId: string) => ({
    certificate: { name: 'k' as ServerName, peerId, notBefore: now - DAY_MS, expires: now + 7 * DAY_MS },
    signature: '',
  })
  const log = { log: () => undefined }
  using certificates = createCertificates({ clock, log, certify, renewed: () => undefined }, 'peer')
  const expiry = async (): Promise<number> => (await certificates.current()).certificate.expires - now
  expect(await expiry()).toBe(7 * DAY_MS)
  now += DAY_MS
  expect(await expiry()).toBe(6 * DAY_MS)
  for (const year of [365 * DAY_MS, -365 * DAY_MS]) {
    now += year
    expect(await expiry()).toBe(7 * DAY_MS)
  }
})
