import { generateKeyPairSync } from 'node:crypto'
import type { ServerName } from '@plexus/core'
import { nameOfKey } from '@plexus/core/names'
import type { Carrier, CarrierResponse, EnvelopedRequest } from '@plexus/engine/ports'
import { CarrierError } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import { createCarriers } from './carriers.ts'

const { x = '' } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
const key = new Uint8Array(Buffer.from(x, 'base64url'))
const BARE = nameOfKey(key)
const SUFFIXED = nameOfKey(key, 'gw.example.org')
const DNS = 'example.org' as ServerName

const OK: CarrierResponse = { status: 200, contentType: 'application/json', body: new Uint8Array(0) }
const requestTo = (destination: ServerName): EnvelopedRequest =>
  ({ request: { destination } }) as unknown as EnvelopedRequest

/** What was asked, and what came of it. */
async function ways(
  destination: ServerName,
  { failure, https = true, own = BARE }: { failure?: 'unreachable'; https?: boolean; own?: ServerName } = {},
): Promise<{ asked: string[]; counted: string[]; outcome: unknown }> {
  const asked: string[] = []
  const counted: string[] = []
  const carrier = (name: string, fails?: 'unreachable'): Carrier => ({
    send: async () => {
      asked.push(name)
      if (fails !== undefined) throw new CarrierError(fails, 'no')
      return OK
    },
  })
  const carriers = createCarriers({
    ownName: own,
    p2p: carrier('p2p', failure),
    https: https ? carrier('https') : undefined,
    sent: (name, status) => counted.push(`${name} ${status}`),
  })
  const outcome = await carriers.send(requestTo(destination), { timeoutMs: 1_000 }).then(
    ({ status }) => status,
    (error: unknown) => (error as CarrierError).code,
  )
  return { asked, counted, outcome }
}

describe('createCarriers', () => {
  it('goes over HTTPS to a DNS name', async () => {
    expect(await ways(DNS)).toEqual({ asked: ['https'], counted: ['https 200'], outcome: 200 })
    expect(await ways(DNS, { https: false })).toEqual({ asked: [], counted: [], outcome: 'unreachable' })
  })

  it.each([BARE, SUFFIXED])('goes over libp2p to a name that is a key, and nowhere else', async (name) => {
    expect(await ways(name)).toMatchObject({ asked: ['p2p'], outcome: 200 })
    const away = await ways(name, { failure: 'unreachable' })
    expect(away).toEqual({ asked: ['p2p'], counted: ['libp2p 0'], outcome: 'unreachable' })
  })

  it('goes over HTTPS from a DNS name to a key with a suffix, as from any homeserver', async () => {
    expect(await ways(SUFFIXED, { own: DNS })).toMatchObject({ asked: ['https'], outcome: 200 })
  })
})
