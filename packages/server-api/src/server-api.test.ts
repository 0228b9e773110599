import type { JsonValue, ServerName } from '@plexus/core'
import { encodeBase64 } from '@plexus/core'
import { requestBytesAround } from '@plexus/core/names'
import type { EnvelopedRequest, InboundHandler, InboundRequest, Signer } from '@plexus/engine/ports'
import { StoreError } from '@plexus/engine/ports'
import { RoomError, UserError } from '@plexus/engine'
import type { KeyAnswer, ServerKeys, WantedKey } from '@plexus/engine'
import { describe, expect, it } from 'vitest'
import { ENVELOPE_LIFETIME_MS, MAX_REQUEST_BYTES } from './bounds.ts'
import {
  fakeServer,
  INCARNATION,
  signRaw,
  START,
  testClock,
  testSigner,
  textOfAnswer,
  type FakeMethods,
  type Raw,
  type RawOptions,
} from './testing/fixtures.ts'

const alice = testSigner(1)
const bob = testSigner(2)
const carol = testSigner(3)
const SKEW = 5 * 60_000

const profileOf = (user: string): Raw => ({
  method: 'GET',
  uri: `/_matrix/federation/v1/query/profile?user_id=${encodeURIComponent(user)}`,
})
const PROFILE = profileOf(`@bob:${bob.name}`)
const queries = { profile: async () => ({ displayname: 'Bob' }) }
const server = () => fakeServer(bob.name, testClock(), { queries })
const signed = (raw: Raw = PROFILE, options: Partial<RawOptions> = {}): Promise<EnvelopedRequest> =>
  signRaw(alice, raw, { destination: bob.name, ...options })

type Outcome = { status: number; errcode: unknown }
const outcomeOf = async (handle: ReturnType<typeof server>['handle'], request: unknown): Promise<Outcome> => {
  const response = await handle(request as EnvelopedRequest)
  expect(response.contentType).toBe('application/json')
  const body = JSON.parse(textOfAnswer(response)) as Record<string, unknown>
  return { status: response.status, errcode: body['errcode'] }
}
const UNAUTHORIZED = { status: 401, errcode: 'M_UNAUTHORIZED' }
const BAD_JSON = { status: 400, errcode: 'M_BAD_JSON' }

const flip = (text: string): string => `${text.slice(0, 5)}${text[5] === 'A' ? 'B' : 'A'}${text.slice(6)}`
const nested = (depth: number): JsonValue =>
  JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`) as JsonValue

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

describe('createServerApi', () => {
  it('answers a request that is signed, enclosed and in time', async () => {
    const { handle, calls, logged } = server()
    const response = await handle(await signed())
    expect(response).toMatchObject({ status: 200, contentType: 'application/json' })
    expect(JSON.parse(textOfAnswer(response))).toEqual({ displayname: 'Bob' })
    expect(calls).toEqual(['queries.profile'])
    expect(logged).toEqual([])
  })

  it('tells of servers that proved a request their own, and of no others', async () => {
    const heard: ServerName[] = []
    const { handle } = fakeServer(bob.name, testClock(), { queries }, { heard: (name) => heard.push(name) })
    await handle(await signed(PROFILE, { origin: carol.name }))
    expect(heard).toEqual([])
    await handle(await signed())
    expect(heard).toEqual([alice.name])
  })

  it.each<[string, () => Promise<unknown>, Outcome]>([
    ['another destination', () => signed(PROFILE, { destination: carol.name }), UNAUTHORIZED],
    ['this server as its origin', () => signRaw(bob, PROFILE, { destination: bob.name }), UNAUTHORIZED],
    ['the origin of somebody else', () => signed(PROFILE, { origin: carol.name }), UNAUTHORIZED],
    ['a DNS origin', () => signed(PROFILE, { origin: 'example.org' as ServerName }), UNAUTHORIZED],
    ['an expiry in the past', () => signed(PROFILE, { expires: START - SKEW }), UNAUTHORIZED],
    [
      'an expiry too far ahead',
      () => signed(PROFILE, { expires: START + ENVELOPE_LIFETIME_MS + SKEW + 1 }),
      UNAUTHORIZED,
    ],
    ['a number for a method', () => signed({ ...PROFILE, method: 7 as unknown as string }), BAD_JSON],
    ['a method in lower case', () => signed({ ...PROFILE, method: 'get' }), BAD_JSON],
    ['a URI that is too long', () => signed({ ...PROFILE, uri: `/${'x'.repeat(20_000)}` }), BAD_JSON],
    ['a URI with a line break', () => signed({ ...PROFILE, uri: '/a\r\nb' }), BAD_JSON],
    ['content that is nested too deep', () => signed({ ...PROFILE, content: nested(500) }), BAD_JSON],
    [
      'content that is not canonical',
      async () => {
        const request = await signed({ ...PROFILE, content: { a: 1 } })
        return { ...request, request: { ...request.request, content: { a: 1.5 } } }
      },
      BAD_JSON,
    ],
    [
      'an unknown path',
      () => signed({ ...PROFILE, uri: '/_matrix/federation/v1/unknown' }),
      { status: 404, errcode: 'M_UNRECOGNIZED' },
    ],
    [
      'an unknown method',
      () => signed({ ...PROFILE, method: 'DELETE' }),
      { status: 405, errcode: 'M_UNRECOGNIZED' },
    ],
  ])('refuses a request with %s', async (_, make, outcome) => {
    const { handle, calls, logged } = server()
    expect(await outcomeOf(handle, await make())).toEqual(outcome)
    expect(calls).toEqual([])
    expect(logged).toEqual([])
  })

  it('refuses content beyond its bound', async () => {
    const { handle, calls } = server()
    const small = await signed({ ...PROFILE, content: {} })
    // Its size alone decides, before anything is hashed.
    const large = { ...small, request: { ...small.request, content: { a: 'x'.repeat(MAX_REQUEST_BYTES) } } }
    expect(await outcomeOf(handle, large)).toEqual({ status: 413, errcode: 'M_TOO_LARGE' })
    expect(calls).toEqual([])
  })

  it.each<[string, (request: EnvelopedRequest, other: EnvelopedRequest) => unknown]>([
    ['the URI', (r) => ({ ...r, request: { ...r.request, uri: `${r.request.uri}x` } })],
    ['the content', (r) => ({ ...r, request: { ...r.request, content: {} } })],
    ['the expiry', (r) => ({ ...r, envelope: { ...r.envelope, expires: r.envelope.expires + 1 } })],
    ['the sequence', (r) => ({ ...r, envelope: { ...r.envelope, sequence: 1 } })],
    ['the incarnation', (r) => ({ ...r, envelope: { ...r.envelope, incarnation: 'B'.repeat(22) } })],
    ['the whole envelope', (r, other) => ({ ...r, envelope: other.envelope, signature: other.signature })],
    ['the signature of the envelope', (r) => ({ ...r, signature: flip(r.signature) })],
    [
      'the signature of the request',
      (r) => ({ ...r, request: { ...r.request, signatures: changed(r, flip) } }),
    ],
    [
      'both signatures for one another',
      (r) => ({
        ...r,
        signature: signatureIn(r),
        request: { ...r.request, signatures: changed(r, () => r.signature) },
      }),
    ],
  ])('refuses a request in which somebody changed %s', async (_, change) => {
    const { handle, calls } = server()
    const other = await signed({ ...PROFILE, uri: `${PROFILE.uri}&field=displayname` })
    expect(await outcomeOf(handle, change(await signed(), other))).toEqual(UNAUTHORIZED)
    expect(calls).toEqual([])
  })

  it.each<[string, (request: EnvelopedRequest) => unknown]>([
    ['a text', () => 'request'],
    ['no request', (r) => ({ ...r, request: undefined })],
    ['no envelope', (r) => ({ ...r, envelope: null })],
    ['no signatures', (r) => ({ ...r, request: { ...r.request, signatures: {} } })],
    ['no envelope signature', (r) => ({ ...r, signature: undefined })],
    ['a short envelope signature', (r) => ({ ...r, signature: 'AAAA' })],
    [
      'a second signature',
      (r) => {
        const [origin] = Object.keys(r.request.signatures)
        const both = { 'ed25519:1': signatureIn(r), 'ed25519:2': signatureIn(r) }
        return { ...r, request: { ...r.request, signatures: { [origin ?? '']: both } } }
      },
    ],
    ['an expiry that is no number', (r) => ({ ...r, envelope: { ...r.envelope, expires: '9' } })],
  ])('refuses what is no signed request: %s', async (_, change) => {
    const { handle, calls, logged } = server()
    const { status, errcode } = await outcomeOf(handle, change(await signed()))
    expect([BAD_JSON, UNAUTHORIZED]).toContainEqual({ status, errcode })
    expect(calls).toEqual([])
    expect(logged).toEqual([])
  })

  it('refuses a request whose method somebody changed to another that its path knows', async () => {
    const { handle, calls } = server()
    const asked = await signed({ method: 'GET', uri: '/_matrix/federation/v1/publicRooms' })
    const changed = { ...asked, request: { ...asked.request, method: 'POST' } }
    expect(await outcomeOf(handle, changed)).toEqual(UNAUTHORIZED)
    expect(calls).toEqual([])
  })

  it('answers a request without an envelope, as HTTPS brings it, as often as it comes', async () => {
    const { handle, calls } = serverWith(alice.publicKey)
    const request = await fromStock(PROFILE)
    expect([(await handle({ request })).status, (await handle({ request })).status]).toEqual([200, 200])
    expect(calls).toEqual(['queries.profile', 'queries.profile'])
  })

  it('processes a transaction without an envelope once, however often it comes', async () => {
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

  it('takes no request without an envelope from another name that is a key', async () => {
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
  ])('refuses a request without an envelope and with %s', async (_, change) => {
    const { handle, calls } = serverWith(alice.publicKey)
    const { status } = await handle(change(await signRaw(stock, PROFILE, { destination: bob.name })))
    expect([400, 401]).toContain(status)
    expect(calls).toEqual([])
  })

  it('answers anybody who asks for its version', async () => {
    const { handle } = server()
    const request = { method: 'GET', uri: '/_matrix/federation/v1/version', destination: bob.name }
    const response = await handle({ request })
    expect(JSON.parse(textOfAnswer(response))).toEqual({ server: { name: 'Plexus', version: '1.0' } })
  })

  it('tolerates clocks that differ within the bound', async () => {
    const { handle } = server()
    const early = await signed(PROFILE, { expires: START - SKEW + 1 })
    const late = await signed(PROFILE, { expires: START + ENVELOPE_LIFETIME_MS + SKEW })
    expect((await handle(early)).status).toBe(200)
    expect((await handle(late)).status).toBe(200)
  })

  it('processes a captured request once', async () => {
    const { handle, calls } = server()
    const request = await signed()
    expect((await handle(request)).status).toBe(200)
    expect(await outcomeOf(handle, request)).toEqual(UNAUTHORIZED)
    expect((await handle(await signed(PROFILE, { expires: START + 1 }))).status).toBe(200)
    expect(calls).toEqual(['queries.profile', 'queries.profile'])
  })

  it.each<[string, unknown, Outcome, boolean]>([
    [
      'a refusal of rooms',
      new RoomError('M_FORBIDDEN', 'no'),
      { status: 403, errcode: 'M_FORBIDDEN' },
      false,
    ],
    [
      'a limit of rooms',
      new RoomError('M_LIMIT_EXCEEDED', 'no'),
      { status: 429, errcode: 'M_LIMIT_EXCEEDED' },
      false,
    ],
    ['a bad state', new RoomError('M_BAD_STATE', 'no'), { status: 400, errcode: 'M_BAD_STATE' }, false],
    [
      'a refusal of users',
      new UserError('M_NOT_FOUND', 'no'),
      { status: 404, errcode: 'M_NOT_FOUND' },
      false,
    ],
    ['a full disk', new StoreError('full', 'no room left'), { status: 500, errcode: 'M_UNKNOWN' }, true],
    ['a fault', new TypeError('secret'), { status: 500, errcode: 'M_UNKNOWN' }, true],
    ['something that is no error', 'secret', { status: 500, errcode: 'M_UNKNOWN' }, true],
  ])('answers %s with its status, and logs only faults', async (_, thrown, outcome, isFault) => {
    const profile = (): never => {
      throw thrown
    }
    const { handle, logged } = fakeServer(bob.name, testClock(), { queries: { profile } })
    const response = await handle(await signed())
    expect(textOfAnswer(response)).not.toContain('secret')
    expect(response.status).toBe(outcome.status)
    expect(JSON.parse(textOfAnswer(response))).toMatchObject({ errcode: outcome.errcode })
    expect(logged).toHaveLength(isFault ? 1 : 0)
  })

  it('answers with a fault when the verifier fails', async () => {
    const verifier = { verify: async () => [] }
    const { handle, calls } = fakeServer(bob.name, testClock(), { queries }, { verifier })
    expect(await outcomeOf(handle, await signed())).toEqual(UNAUTHORIZED)
    expect(calls).toEqual([])
  })

  it('gives requests of one store an id each', async () => {
    const ids: string[] = []
    const claimKeys = async (_: unknown, id: string) => {
      ids.push(id)
      return { one_time_keys: {} }
    }
    const { handle } = fakeServer(bob.name, testClock(), { queries: { claimKeys } })
    const raw: Raw = {
      method: 'POST',
      uri: '/_matrix/federation/v1/user/keys/claim',
      content: { one_time_keys: {} },
    }
    const first = await signed(raw)
    await handle(first)
    await handle(first)
    await handle(await signed(raw, { expires: START + 1 }))
    expect(ids[0]).toContain(INCARNATION)
    expect(ids[1]).toBe(ids[0])
    expect(ids[2]).not.toBe(ids[0])
  })
})

function signatureIn({ request }: EnvelopedRequest): string {
  return Object.values(request.signatures[request.origin] ?? {})[0] ?? ''
}

function changed(request: EnvelopedRequest, change: (text: string) => string): unknown {
  return { [request.request.origin]: { 'ed25519:1': change(signatureIn(request)) } }
}
