/** Links over streams in memory, certified on both sides or against an end that the test speaks itself. */
import type { CarrierResponse, EnvelopedRequest } from '@plexus/engine/ports'
import { createLink, type Link } from '../link.ts'
import { FederationFrame as K } from '../wire/federation.ts'
import { createFrameReader, encodeFrame, type Frame } from '../wire/frame.ts'
import { encodeHello, type SignedCertificate } from '../wire/hello.ts'
import { messagePart } from '../wire/message.ts'
import { createAccount, createResponse, silentLog, type TestAccount } from './accounts.ts'
import { createStreamPair, type TestStream } from './stream-pair.ts'
import { createVirtualClock, type VirtualClock } from './virtual-clock.ts'

export const alice: TestAccount = await createAccount()
export const bob: TestAccount = await createAccount()

export const SESSION: string = 'ab'.repeat(16)

/** Lets everything that waits for nothing but promises go on. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

type End = {
  readonly link: Link
  readonly reasons: string[]
  readonly readies: number[]
  readonly handled: EnvelopedRequest[]
}

type EndInit = {
  readonly account: TestAccount
  readonly peerId: string
  readonly opener: 'local' | 'remote'
  readonly handle?: (request: EnvelopedRequest) => Promise<CarrierResponse>
  readonly certificate?: () => SignedCertificate
}

function createEnd(clock: VirtualClock, stream: TestStream, init: EndInit): End {
  const reasons: string[] = []
  const readies: number[] = []
  const handled: EnvelopedRequest[] = []
  const certificate = init.certificate ?? (() => init.account.certify(clock.now()))
  const link = createLink(
    {
      clock,
      log: silentLog,
      hello: (serial) => Promise.resolve({ ...certificate(), session: SESSION, serial, addresses: [] }),
      handle(request) {
        handled.push(request)
        return init.handle?.(request) ?? Promise.resolve(createResponse('fine'))
      },
      ready: () => readies.push(clock.now()),
      changed: () => undefined,
      closed: (_link, reason) => reasons.push(reason),
      ended: () => undefined,
    },
    { stream, peerId: init.peerId, direct: true, opener: init.opener, serial: 1 },
  )
  return { link, reasons, readies, handled }
}

/** Two links that have certified themselves. */
export async function connect(init: { a?: Partial<EndInit>; b?: Partial<EndInit> } = {}): Promise<{
  clock: VirtualClock
  a: End
  b: End
  sa: TestStream
  sb: TestStream
}> {
  const clock = createVirtualClock(Date.UTC(2026, 0, 1))
  const [sa, sb] = createStreamPair()
  const a = createEnd(clock, sa, { account: alice, peerId: bob.peerId, opener: 'local', ...init.a })
  const b = createEnd(clock, sb, { account: bob, peerId: alice.peerId, opener: 'remote', ...init.b })
  await settle()
  return { clock, a, b, sa, sb }
}

/** A link against a stream whose other end the test speaks itself. */
export async function against(handle?: EndInit['handle']): Promise<
  End & {
    clock: VirtualClock
    own: TestStream
    other: TestStream
    /** What the link sent. */
    got: Frame[]
    hello: (signed?: SignedCertificate) => Uint8Array
    /** Sends the frames, and lets the link take them. */
    say: (...frames: Uint8Array[]) => Promise<void>
  }
> {
  const clock = createVirtualClock(Date.UTC(2026, 0, 1))
  const [own, other] = createStreamPair()
  const facts = { account: alice, peerId: bob.peerId, opener: 'remote' } as const
  const end = createEnd(clock, own, handle === undefined ? facts : { ...facts, handle })
  const reader = createFrameReader()
  const got: Frame[] = []
  other.addEventListener('message', ({ data }) => {
    got.push(...reader.push(data instanceof Uint8Array ? data : data.subarray()).frames)
  })
  other.addEventListener('remoteCloseWrite', () => undefined)
  const hello = (signed = bob.certify(clock.now())): Uint8Array =>
    encodeFrame(K.hello, 0, encodeHello({ ...signed, session: SESSION, serial: 1, addresses: [] }))
  const say = async (...frames: Uint8Array[]): Promise<void> => {
    for (const frame of frames) if (other.status === 'open') other.send(frame)
    await settle()
  }
  return { ...end, clock, own, other, got, hello, say }
}

export const header = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
export const requestFrame = (id: number, request: EnvelopedRequest): Uint8Array =>
  encodeFrame(K.request, id, messagePart({ header: header(request), body: new Uint8Array(0) }, 0))
export const text = (response: CarrierResponse): string => new TextDecoder().decode(response.body)
