import type { JsonValue, ServerName } from '@plexus/core'
import { RoomError, UserError } from '@plexus/engine'
import { StoreError } from '@plexus/engine/ports'
import type { EnvelopedRequest } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import { ENVELOPE_LIFETIME_MS, MAX_REQUEST_BYTES } from './bounds.ts'
import {
  fakeServer,
  INCARNATION,
  signRaw,
  START,
  testClock,
  textOfAnswer,
  type Raw,
} from './testing/fixtures.ts'
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
  queries,
  server,
  signatureIn,
  signed,
  type Outcome,
} from './testing/requests.ts'

const SKEW = 5 * 60_000

const nested = (depth: number): JsonValue =>
  JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`) as JsonValue

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
