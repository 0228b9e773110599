/** Signed requests to Bob's server, and what it says to them. */
import type { EnvelopedRequest, InboundHandler, Signer } from '@plexus/engine/ports'
import { expect } from 'vitest'
import {
  fakeServer,
  signRaw,
  testClock,
  testSigner,
  textOfAnswer,
  type FakeMethods,
  type FakeServer,
  type Raw,
  type RawOptions,
} from './fixtures.ts'

export const alice: Signer = testSigner(1)
export const bob: Signer = testSigner(2)
export const carol: Signer = testSigner(3)

export const profileOf = (user: string): Raw => ({
  method: 'GET',
  uri: `/_matrix/federation/v1/query/profile?user_id=${encodeURIComponent(user)}`,
})
export const PROFILE: Raw = profileOf(`@bob:${bob.name}`)
export const queries: NonNullable<FakeMethods['queries']> = { profile: async () => ({ displayname: 'Bob' }) }
export const server = (): FakeServer => fakeServer(bob.name, testClock(), { queries })
export const signed = (raw: Raw = PROFILE, options: Partial<RawOptions> = {}): Promise<EnvelopedRequest> =>
  signRaw(alice, raw, { destination: bob.name, ...options })

export type Outcome = { status: number; errcode: unknown }
export async function outcomeOf(handle: InboundHandler, request: unknown): Promise<Outcome> {
  const response = await handle(request as EnvelopedRequest)
  expect(response.contentType).toBe('application/json')
  const body = JSON.parse(textOfAnswer(response)) as Record<string, unknown>
  return { status: response.status, errcode: body['errcode'] }
}
export const UNAUTHORIZED: Outcome = { status: 401, errcode: 'M_UNAUTHORIZED' }
export const BAD_JSON: Outcome = { status: 400, errcode: 'M_BAD_JSON' }

/** The text with another sixth letter. */
export const flip = (text: string): string =>
  `${text.slice(0, 5)}${text[5] === 'A' ? 'B' : 'A'}${text.slice(6)}`

export function signatureIn({ request }: EnvelopedRequest): string {
  return Object.values(request.signatures[request.origin] ?? {})[0] ?? ''
}

/** The signatures of the request with its own changed. */
export function changed(request: EnvelopedRequest, change: (text: string) => string): unknown {
  return { [request.request.origin]: { 'ed25519:1': change(signatureIn(request)) } }
}
