import { CarrierError, type CarrierResponse, type Clock, type EnvelopedRequest } from '@plexus/engine/ports'
import { decodeResponse, encodeRequest, FederationFrame, Refusal } from './federation.ts'
import type { AssemblyBudget } from './inbound.ts'
import {
  MAX_ASSEMBLY_BYTES,
  MAX_IN_FLIGHT,
  MAX_REQUEST_BYTES,
  MAX_RESPONSE_BYTES,
  MAX_RESPONSE_HEADER_BYTES,
  MAX_WAITING_REQUESTS,
} from './limits.ts'
import { createAssembly, type Assembly, type Message, type MessageFault } from './message.ts'
import type { Sender } from './sender.ts'

export type OutboundDeps = {
  readonly clock: Clock
  readonly sender: Sender
  readonly budget: AssemblyBudget
  cancel(id: number): void
  settled(): void
}

export type RequestOptions = { readonly signal?: AbortSignal; readonly timeoutMs: number }

/** The requests that this side makes. */
export interface Outbound {
  /** @throws CarrierError, or the signal's reason. */
  request(request: EnvelopedRequest, options: RequestOptions): Promise<CarrierResponse>
  /** Handles a `response` or `responsePart` frame. A fault means that the stream is to be closed. */
  part(id: number, first: boolean, body: Uint8Array): MessageFault | 'response begins twice' | undefined
  /** Handles a `refuse` frame. */
  refused(id: number, code: number | undefined): void
  /** Ends all requests: no answer comes any more. */
  end(reason: string): void
  readonly active: number
}

type Pending = {
  readonly id: number
  readonly message: Message
  /** Handed to the sender. */
  queued: boolean
  assembly: Assembly | undefined
  settle(outcome: CarrierResponse | CarrierError): void
}

const MAX_ID = 0xffff_ffff

export function createOutbound(deps: OutboundDeps): Outbound {
  const pending = new Map<number, Pending>()
  let waiting: Pending[] = []
  let lastId = 0

  function nextId(): number {
    do lastId = lastId === MAX_ID ? 1 : lastId + 1
    while (pending.has(lastId))
    return lastId
  }

  function remove(entry: Pending): void {
    pending.delete(entry.id)
    waiting = waiting.filter((other) => other !== entry)
    deps.budget.bytes -= entry.assembly?.received ?? 0
    advance()
    deps.settled()
  }

  /** Hands the next waiting requests to the sender. */
  function advance(): void {
    while (pending.size < MAX_IN_FLIGHT) {
      const entry = waiting.shift()
      if (entry === undefined) return
      start(entry)
    }
  }

  function start(entry: Pending): void {
    pending.set(entry.id, entry)
    const { request: kind, requestPart: partKind } = FederationFrame
    entry.queued = deps.sender.queue({ id: entry.id, kind, partKind, message: entry.message })
    if (!entry.queued) entry.settle(new CarrierError('unreachable', 'too much is queued for this peer'))
  }

  /** Stops a request; answers whether the other side may have got it. */
  function stop(entry: Pending): boolean {
    const sent = entry.queued && deps.sender.drop(FederationFrame.request, entry.id)
    if (sent) deps.cancel(entry.id)
    return sent
  }

  function lost(sent: boolean, reason: string): CarrierError {
    return new CarrierError(sent ? 'timeout' : 'unreachable', reason)
  }

  function deliver(entry: Pending, message: Message): void {
    const response = decodeResponse(message)
    // A hasty answer came before all of the request was sent.
    deps.sender.drop(FederationFrame.request, entry.id)
    entry.settle(response ?? new CarrierError('refused', 'the answer is not one'))
  }

  return {
    request(request, { signal, timeoutMs }) {
      signal?.throwIfAborted()
      const message = encodeRequest(request)
      if (message.header.length > MAX_REQUEST_BYTES)
        return Promise.reject(new CarrierError('refused', 'the request is too large'))
      if (waiting.length >= MAX_WAITING_REQUESTS)
        return Promise.reject(new CarrierError('unreachable', 'too many requests wait for this peer'))
      return new Promise((resolve, reject) => {
        const finish = (run: () => void): void => {
          stopTimer()
          signal?.removeEventListener('abort', onAbort)
          remove(entry)
          run()
        }
        const settle = (outcome: CarrierResponse | CarrierError): void =>
          finish(() => (outcome instanceof CarrierError ? reject(outcome) : resolve(outcome)))
        const entry: Pending = { id: nextId(), message, queued: false, assembly: undefined, settle }
        const onAbort = (): void => {
          stop(entry)
          finish(() => reject(signal?.reason))
        }
        const stopTimer = deps.clock.after(timeoutMs, () => settle(lost(stop(entry), 'no answer in time')))
        signal?.addEventListener('abort', onAbort, { once: true })
        waiting.push(entry)
        advance()
      })
    },
    part(id, first, body) {
      const entry = pending.get(id)
      // An answer to a request that was given up is on its way for a while.
      if (entry === undefined) return undefined
      if (first === (entry.assembly !== undefined)) return first ? 'response begins twice' : undefined
      entry.assembly ??= createAssembly({ header: MAX_RESPONSE_HEADER_BYTES, body: MAX_RESPONSE_BYTES })
      if (deps.budget.bytes + body.length > MAX_ASSEMBLY_BYTES) {
        stop(entry)
        entry.settle(new CarrierError('refused', 'the answers of this peer are too large'))
        return undefined
      }
      const before = entry.assembly.received
      const message = entry.assembly.add(body)
      deps.budget.bytes += entry.assembly.received - before
      if (message === 'message too long') {
        stop(entry)
        entry.settle(new CarrierError('refused', 'the answer is too large'))
        return undefined
      }
      if (typeof message === 'string') return message
      if (message !== undefined) deliver(entry, message)
      return undefined
    },
    refused(id, code) {
      const entry = pending.get(id)
      if (entry === undefined) return
      deps.sender.drop(FederationFrame.request, id)
      entry.settle(new CarrierError(refusalKind(code), refusalText(code)))
    },
    end(reason) {
      const all = [...pending.values(), ...waiting]
      waiting = []
      for (const entry of all) {
        const sent = entry.queued && deps.sender.drop(FederationFrame.request, entry.id)
        entry.settle(lost(sent, reason))
      }
    },
    get active() {
      return pending.size + waiting.length
    },
  }
}

function refusalKind(code: number | undefined): CarrierError['code'] {
  if (code === Refusal.busy) return 'unreachable'
  return code === Refusal.failed ? 'timeout' : 'refused'
}

function refusalText(code: number | undefined): string {
  switch (code) {
    case Refusal.busy:
      return 'the peer is busy'
    case Refusal.tooLarge:
      return 'the peer finds the request too large'
    case Refusal.origin:
      return 'the peer refuses our name as the origin'
    case Refusal.failed:
      return 'the peer failed to answer'
    default:
      return 'the peer does not understand the request'
  }
}
