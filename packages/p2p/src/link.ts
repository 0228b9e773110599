import type { ServerName } from '@plexus/core'
import type { CarrierResponse, Clock, EnvelopedRequest, InboundHandler, Log } from '@plexus/engine/ports'
import { createFrameChannel, type ByteStream } from './wire/channel.ts'
import { decodeU32, encodeU32, FederationFrame, Refusal } from './wire/federation.ts'
import type { Frame } from './wire/frame.ts'
import { createHeartbeat, type Heartbeat } from './wire/heartbeat.ts'
import { certificateFault, decodeHello, encodeHello, type Hello } from './wire/hello.ts'
import { createInbound } from './wire/inbound.ts'
import {
  CONTROL_FRAME_BURST,
  CONTROL_FRAMES_PER_SECOND,
  CREDIT_STEP,
  MAX_WRITE_BACKLOG,
  REQUEST_BURST,
  REQUESTS_PER_SECOND,
} from './wire/limits.ts'
import { createOutbound, type RequestOptions } from './wire/outbound.ts'
import { createCreditGiver, createSender } from './wire/sender.ts'
import { createTokenBucket } from './wire/token-bucket.ts'

/** Milliseconds that the other side has for its certificate. */
export const HELLO_TIMEOUT_MS = 10_000
/** A certificate frame costs a signature check: it counts for so many control frames. */
const HELLO_COST = 50
/** Milliseconds that a stream in retirement has for the requests under way. */
export const RETIRE_TIMEOUT_MS = 30_000

export type LinkDeps = {
  readonly clock: Clock
  readonly log: Log
  /** Own certificate and addresses, current. */
  hello(serial: number, name: ServerName | undefined): Promise<Hello>
  readonly handle: InboundHandler<EnvelopedRequest>
  /** The other side's certificate was checked: requests may go both ways. Again after each renewal. */
  ready(link: Link, hello: Hello): void
  changed(link: Link): void
  closed(link: Link, reason: string): void
  /** The other side is done with the stream too, or had its time. */
  ended(): void
}

export type LinkInit = {
  readonly stream: ByteStream
  /** The peer id that Noise or DTLS proved. */
  readonly peerId: string
  /** False for a stream over a relay. */
  readonly direct: boolean
  /** Which side opened the stream. */
  readonly opener: 'local' | 'remote'
  /** Counts the streams opened by this side. */
  readonly serial: number
}

export type LinkState = 'greeting' | 'ready' | 'retiring' | 'closed'

/**
 * One federation stream. Invariants: nothing but a certificate is read before a valid certificate for the proved
 * peer id; every request received says the certified name as its origin; every request made ends by its deadline.
 */
export interface Link {
  readonly peerId: string
  readonly direct: boolean
  readonly opener: 'local' | 'remote'
  readonly state: LinkState
  /** The certified name; `undefined` while greeting. */
  readonly name: ServerName | undefined
  /** The other side's session; `undefined` while greeting. */
  readonly session: string | undefined
  /** The opener's count of the streams that it opened in its session. */
  readonly serial: number
  /** When it became ready, in milliseconds since the epoch. */
  readonly since: number
  readonly rttMs: number | undefined
  /** Requests under way, both ways. */
  readonly active: number
  /** @throws CarrierError */
  request(request: EnvelopedRequest, options: RequestOptions): Promise<CarrierResponse>
  /** Takes no more requests and closes when those under way are answered. */
  retire(): void
  /** There is reason to doubt the connection: finds out soon whether the other side is there. */
  probe(): void
  /** Says hello again: the certificate was renewed, or the other side may know more. */
  renew(): void
  close(reason: string): void
}

const K = FederationFrame

export function createLink(deps: LinkDeps, init: LinkInit): Link {
  const { clock } = deps
  let state: LinkState = 'greeting'
  let greeted: Hello | undefined
  let introduced = false
  let since = clock.now()
  let rttMs: number | undefined
  let heartbeat: Heartbeat | undefined
  let saidGoodbye = false
  let heardGoodbye = false
  const channel = createFrameChannel(init.stream, {
    frame: onFrame,
    writable: () => {
      sender.pump()
      giveCredit()
      closeIfDone()
    },
    closed: onClosed,
    ended: () => deps.ended(),
  })
  const sender = createSender(channel)
  const credit = createCreditGiver(CREDIT_STEP)
  const controls = createTokenBucket(() => clock.now(), CONTROL_FRAMES_PER_SECOND, CONTROL_FRAME_BURST)
  const budget = { bytes: 0 }
  const outbound = createOutbound({
    clock,
    sender,
    budget,
    cancel: (id) => channel.send(K.cancel, id),
    settled: closeIfDone,
  })
  const inbound = createInbound({
    clock,
    sender,
    budget,
    bucket: createTokenBucket(() => clock.now(), REQUESTS_PER_SECOND, REQUEST_BURST),
    refuse: (id, code) => channel.send(K.refuse, id, Uint8Array.of(code)),
    check: ({ request }) => (request.origin === greeted?.certificate.name ? undefined : Refusal.origin),
    handle: deps.handle,
    failed: (error) => deps.log.log('error', 'a federation handler failed', { error: String(error) }),
    settled: closeIfDone,
  })
  let cancelTimer = clock.after(HELLO_TIMEOUT_MS, () => channel.abort('no certificate in time'))

  function onClosed(reason: string): void {
    state = 'closed'
    cancelTimer()
    heartbeat?.stop()
    outbound.end(reason)
    deps.closed(link, reason)
  }

  function giveCredit(): void {
    if (channel.backlog > MAX_WRITE_BACKLOG / 2) return
    const bytes = credit.due()
    if (bytes > 0) channel.send(K.credit, 0, encodeU32(bytes))
  }

  function sayHello(): void {
    deps.hello(init.serial, greeted?.certificate.name).then(
      (hello) => {
        channel.send(K.hello, 0, encodeHello(hello))
        introduced = true
        getReady()
      },
      (error: unknown) => {
        deps.log.log('error', 'no own certificate', { error: String(error) })
        channel.abort('no own certificate')
      },
    )
  }

  /** Both sides have certified themselves. */
  function getReady(): void {
    if (state !== 'greeting' || greeted === undefined || !introduced) return
    cancelTimer()
    state = 'ready'
    since = clock.now()
    heartbeat = createHeartbeat({ clock, ping, dead: () => channel.abort('no sign of life'), roundTrip })
    deps.ready(link, greeted)
  }

  function onHello(body: Uint8Array): string | undefined {
    const hello = decodeHello(body)
    if (hello === undefined) return 'not a certificate frame'
    const fault = certificateFault(hello, init.peerId, clock.now())
    if (fault !== undefined) return fault
    const first = greeted === undefined
    if (!first && hello.certificate.name !== greeted?.certificate.name) return 'the name changed'
    greeted = hello
    if (state === 'greeting') getReady()
    else deps.ready(link, hello)
    return undefined
  }

  function ping(id: number): void {
    if ((greeted?.certificate.expires ?? 0) <= clock.now()) channel.abort('certificate expired')
    else channel.send(K.ping, id)
  }

  function roundTrip(ms: number): void {
    rttMs = ms
    deps.changed(link)
  }

  /** Frames that carry requests and responses. */
  function onData({ kind, id, body }: Frame): string | undefined {
    if (!credit.take(body.length)) return 'sent without credit'
    giveCredit()
    if (kind === K.request && heardGoodbye) return 'request after goodbye'
    if (kind === K.request || kind === K.requestPart) return inbound.part(id, kind === K.request, body)
    return outbound.part(id, kind === K.response, body)
  }

  function onControl({ kind, id, body }: Frame): string | undefined {
    if (!controls.take(kind === K.hello ? HELLO_COST : 1)) return 'too many control frames'
    switch (kind) {
      case K.hello:
        return onHello(body)
      case K.refuse:
        outbound.refused(id, body[0])
        return undefined
      case K.cancel:
        inbound.cancel(id)
        return undefined
      case K.ping:
        channel.send(K.pong, id)
        return undefined
      case K.pong:
        heartbeat?.pong(id)
        return undefined
      case K.goodbye:
        heardGoodbye = true
        link.retire()
        closeIfDone()
        return undefined
      default:
        return 'unknown kind of frame'
    }
  }

  function onCredit(body: Uint8Array): string | undefined {
    const bytes = decodeU32(body)
    if (bytes === undefined || bytes < CREDIT_STEP) return 'not a credit frame'
    if (!sender.credit(bytes)) return 'too much credit'
    closeIfDone()
    return undefined
  }

  function onFrame(frame: Frame): void {
    heartbeat?.heard()
    const { kind } = frame
    let fault: string | undefined
    if (greeted === undefined && kind !== K.hello) fault = 'no certificate'
    else if (kind === K.credit) fault = onCredit(frame.body)
    else if (kind >= K.request && kind <= K.responsePart) fault = onData(frame)
    else fault = onControl(frame)
    if (fault === undefined) return
    deps.log.log('warn', 'closed a federation stream', { peer: init.peerId, reason: fault })
    channel.abort(fault)
  }

  function closeIfDone(): void {
    if (
      state === 'retiring' &&
      heardGoodbye &&
      outbound.active + inbound.active === 0 &&
      sender.queuedBytes === 0
    )
      channel.close('retired')
  }

  const link: Link = {
    peerId: init.peerId,
    direct: init.direct,
    opener: init.opener,
    get state() {
      return state
    },
    get name() {
      return greeted?.certificate.name
    },
    get session() {
      return greeted?.session
    },
    get serial() {
      return init.opener === 'local' ? init.serial : (greeted?.serial ?? 0)
    },
    get since() {
      return since
    },
    get rttMs() {
      return rttMs
    },
    get active() {
      return outbound.active + inbound.active
    },
    request: (request, options) => outbound.request(request, options),
    retire() {
      if (saidGoodbye || state !== 'ready') return
      saidGoodbye = true
      state = 'retiring'
      channel.send(K.goodbye, 0)
      cancelTimer = clock.after(RETIRE_TIMEOUT_MS, () => channel.close('retired late'))
      closeIfDone()
    },
    probe: () => heartbeat?.probe(),
    renew: sayHello,
    close: (reason) => channel.close(reason),
  }
  sayHello()
  return link
}
