/** Requests as ordinary homeservers make them: from a name that is no key, and in no envelope. */
import { encodeBase64 } from '@plexus/core'
import type { JsonValue, ServerName } from '@plexus/core'
import { requestBytesAround } from '@plexus/core/names'
import type { KeyAnswer, ServerKeys, WantedKey } from '@plexus/engine'
import type { EnvelopedRequest, InboundHandler, InboundRequest, Signer } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import { fakeServer, signRaw, START, testClock, type FakeMethods, type Raw } from './testing/fixtures.ts'
import {
  BAD_JSON,
  PROFILE,
  UNAUTHORIZED,
  alice,
  bob,
  carol,
  changed,
  flip,
  outcomeOf,
  profileOf,
  queries,
  server,
  signed,
} from './testing/requests.ts'

/** A server whose name is no key, and what is known of its keys. */
const stock = { ...alice, name: 'stock.example' as ServerName, keyId: 'ed25519:a_1' }
const fromStock = async (raw: Raw): Promise<EnvelopedRequest['request']> =>
  (await signRaw(stock, raw, { destination: bob.name })).request
const serverWith = (answer: KeyAnswer) => {
  const asked: WantedKey[] = []
  const keys: ServerKeys = {
    lookup: async (wanted) => {
      asked.push(...wanted)
      return wanted.map(() => answer)
    },
    watch: () => () => undefined,
    own: async () => ({}),
    notarised: async () => [],
  }
  return { ...fakeServer(bob.name, testClock(), { queries }, { keys }), asked, keys }
}

describe('a request of a server whose name is no key', () => {
  const ask = async (): Promise<InboundRequest> => ({ request: await fromStock(PROFILE) })

  it('is checked by the key that it names, as of now', async () => {
    const { handle, asked } = serverWith(alice.publicKey)
    expect((await handle(await ask())).status).toBe(200)
    expect(asked).toEqual([{ server: stock.name, keyId: 'ed25519:a_1', at: START }])
  })

  it('may be signed by several keys, of which one that it has is enough', async () => {
    const { handle, asked } = serverWith(alice.publicKey)
    const request = await fromStock(PROFILE)
    const sign = async (keys: readonly (readonly [string, Signer])[]): Promise<InboundRequest> => {
      const made = await Promise.all(
        keys.map(async ([keyId, signer]) => {
          const signed = await signRaw({ ...signer, name: stock.name, keyId }, PROFILE, {
            destination: bob.name,
          })
          return Object.entries(signed.request.signatures[stock.name] ?? {})
        }),
      )
      return { request: { ...request, signatures: { [stock.name]: Object.fromEntries(made.flat()) } } }
    }
    const [old, own] = [['ed25519:a', carol] as const, ['ed25519:b', alice] as const]
    expect((await handle(await sign([old, own]))).status).toBe(200)
    expect(asked.map(({ keyId }) => keyId)).toEqual(['ed25519:a', 'ed25519:b'])
    expect((await handle(await sign([old]))).status).toBe(401)
  })

  describe('whose body holds numbers that parsing changes', () => {
    const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
    const uri = '/_matrix/federation/v1/send/1'
    const transaction = (pdus: string): string => `{"edus":[],"pdus":[{"content":{}},${pdus}]}`
    /** As a server brings it that signs what it sends, digit by digit. */
    const bring = async (text: string, signedText = text): Promise<InboundRequest> => {
      const fields = { method: 'PUT', uri, origin: stock.name, destination: bob.name }
      const signature = encodeBase64(await stock.sign(requestBytesAround(bytesOf(signedText), fields)))
      const signatures = { [stock.name]: { [stock.keyId]: signature } }
      return {
        request: { ...fields, content: JSON.parse(text) as JsonValue, signatures },
        body: bytesOf(text),
      }
    }
    const serverOfRoom = (): { seen: JsonValue[]; handle: InboundHandler } => {
      const seen: JsonValue[] = []
      const inbound: FakeMethods['inbound'] = {
        transaction: async ({ pdus, edus }) => {
          seen.push(...pdus, ...edus)
          return { pdus: {} }
        },
      }
      return {
        seen,
        ...fakeServer(bob.name, testClock(), { inbound }, { keys: serverWith(alice.publicKey).keys }),
      }
    }

    it.each([
      '1.0',
      '1.5',
      '1e3',
      '-0',
      '9007199254740993',
      '1e400',
      '"\\ud800"',
      `${'['.repeat(200)}${']'.repeat(200)}`,
    ])('is taken with an event that holds %s', async (value) => {
      const { seen, handle } = serverOfRoom()
      const response = await handle(await bring(transaction(`{"content":${value}}`)))
      expect(response.status).toBe(200)
      expect(seen).toEqual([{ content: {} }, JSON.parse(`{"content":${value}}`)])
    })

    it('is refused when somebody changed one', async () => {
      const { seen, handle } = serverOfRoom()
      const changed = await bring(transaction('{"a":1.5}'), transaction('{"a":1.50}'))
      expect((await handle(changed)).status).toBe(401)
      const endless = await bring(transaction('{"a":1e400}'), transaction('{"a":1}'))
      expect((await handle(endless)).status).toBe(400)
      expect(seen).toEqual([])
    })

    it('is taken with white space, which nobody signs', async () => {
      const { handle } = serverOfRoom()
      const asked = await bring(transaction('{}'))
      const body = bytesOf(` ${transaction('{}')}`)
      expect((await handle({ ...asked, body })).status).toBe(200)
    })

    it('keeps an EDU in its place that cannot be written down, without its content', async () => {
      const { seen, handle } = serverOfRoom()
      const edus = '[{"content":{"a":1.5},"edu_type":"x"},{"content":{"a":1e400},"edu_type":"y"}]'
      await handle(await bring(`{"edus":${edus},"pdus":[]}`))
      expect(seen).toEqual([{ content: { a: 1.5 }, edu_type: 'x' }, { edu_type: 'y' }])
    })

    it('is refused where they stand beside events', async () => {
      const { handle } = serverOfRoom()
      expect(await outcomeOf(handle, await bring('{"pdus":[],"x":1.5}'))).toEqual(BAD_JSON)
    })
  })

  it('counts as proven only with a good signature, not where none is needed', async () => {
    const { handle } = serverWith(alice.publicKey)
    const isProven = async (raw: Raw, by = stock): Promise<boolean | undefined> => {
      const { request } = await signRaw(by, raw, { destination: bob.name })
      return (await handle({ request })).isProven
    }
    expect(await isProven(PROFILE)).toBe(true)
    expect(await isProven({ ...PROFILE, uri: '/_matrix/federation/v1/query/profile' })).toBe(true)
    const others = ['/_matrix/federation/v1/version', '/_matrix/key/v2/server', '/_matrix/nothing', '']
    for (const uri of others) expect(await isProven({ method: 'GET', uri })).toBeUndefined()
    expect(await isProven({ ...PROFILE, method: 'POST' })).toBeUndefined()
    expect(await isProven(PROFILE, { ...carol, name: stock.name, keyId: stock.keyId })).toBeUndefined()
  })

  it.each<[string, KeyAnswer]>([
    ['the server does not have', 'none'],
    ['cannot be had', 'unknown'],
    ['did not sign it', carol.publicKey],
  ])('is refused with a key that %s', async (_, answer) => {
    expect(await outcomeOf(serverWith(answer).handle, await ask())).toEqual(UNAUTHORIZED)
  })
})

describe('a request without an envelope', () => {
  it('is answered as HTTPS brings it, as often as it comes', async () => {
    const { handle, calls } = serverWith(alice.publicKey)
    const request = await fromStock(PROFILE)
    expect([(await handle({ request })).status, (await handle({ request })).status]).toEqual([200, 200])
    expect(calls).toEqual(['queries.profile', 'queries.profile'])
  })

  it('is processed once where it is a transaction, however often it comes', async () => {
    const transaction = async () => ({ pdus: {} })
    const { keys } = serverWith(alice.publicKey)
    const { handle, calls } = fakeServer(bob.name, testClock(), { inbound: { transaction } }, { keys })
    const raw = (txnId: string, pdus: JsonValue[] = []): Raw => ({
      method: 'PUT',
      uri: `/_matrix/federation/v1/send/${txnId}`,
      content: { pdus },
    })
    for (const each of [raw('1'), raw('1'), raw('2'), raw('1', [{}]), raw('1')]) {
      expect((await handle({ request: await fromStock(each) })).status).toBe(200)
    }
    expect(calls).toHaveLength(3)
  })

  it('is taken from no other name that is a key', async () => {
    const { handle, calls } = server()
    const { request } = await signed()
    expect(await outcomeOf(handle, { request })).toEqual(UNAUTHORIZED)
    const suffixed = { ...alice, name: `${alice.name}.example.org` as ServerName }
    const other = await signRaw(suffixed, PROFILE, { destination: bob.name })
    expect((await handle(other)).status).toBe(200)
    expect(await outcomeOf(handle, { request: other.request })).toEqual(UNAUTHORIZED)
    expect(calls).toHaveLength(1)
    // To a server whose own name is none it is what any homeserver is.
    const dns = { ...bob, name: 'bob.example' as ServerName }
    const asked = await signRaw(suffixed, profileOf('@bob:bob.example'), { destination: dns.name })
    expect(
      (await fakeServer(dns.name, testClock(), { queries }).handle({ request: asked.request })).status,
    ).toBe(200)
  })

  it.each<[string, (request: EnvelopedRequest) => InboundRequest]>([
    ['another signature', (r) => ({ request: { ...r.request, signatures: changed(r, flip) } })],
    ['a changed URI', (r) => ({ request: { ...r.request, uri: `${r.request.uri}x` } })],
    [
      'no signature',
      ({ request: { method, uri, destination } }) => ({ request: { method, uri, destination } }),
    ],
    ['half an envelope', ({ request, signature }) => ({ request, signature })],
  ])('is refused with %s', async (_, change) => {
    const { handle, calls } = serverWith(alice.publicKey)
    const { status } = await handle(change(await signRaw(stock, PROFILE, { destination: bob.name })))
    expect([400, 401]).toContain(status)
    expect(calls).toEqual([])
  })
})
