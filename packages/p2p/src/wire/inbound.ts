import { CarrierError, type CarrierResponse, type Clock, type EnvelopedRequest } from '@plexus/engine/ports'
import { decodeRequest, encodeResponse, FederationFrame, Refusal, type RefusalCode } from './federation.ts'
import { MAX_ASSEMBLY_BYTES, MAX_IN_FLIGHT, MAX_REQUEST_BYTES } from './limits.ts'
import { createAssembly, type Assembly, type Message, type MessageFault } from './message.ts'
import type { Sender } from './sender.ts'
import type { TokenBucket } from './token-bucket.ts'

/** Bytes of unfinished messages that one peer makes us keep. */
export type AssemblyBudget = { bytes: number }

export type InboundDeps = {
  readonly clock: Clock
  readonly sender: Sender
  readonly budget: AssemblyBudget
  readonly bucket: TokenBucket
  /** Sends a refusal. */
  refuse(id: number, code: RefusalCode): void
  /** Why a request of this peer is refused before it is handled, `undefined` when it is not. */
  check(request: EnvelopedRequest): RefusalCode | undefined
  /** A `CarrierError` `unreachable` from it says that it was not handled, so that the other side may try again. */
  handle(request: EnvelopedRequest): Promise<CarrierResponse>
  /** A handler failed or the state changed. */
  failed(error: unknown): void
  settled(): void
}

/** The requests that the other side makes. */
export interface Inbound {
  /** Handles a `request` or `requestPart` frame. A fault means that the stream is to be closed. */
  part(id: number, first: boolean, body: Uint8Array): MessageFault | 'request id in use' | undefined
  /** The other side no longer waits for an answer. */
  cancel(id: number): void
  readonly active: number
}

export function createInbound(deps: InboundDeps): Inbound {
  const assembling = new Map<number, Assembly>()
  /** Requests in the handler whose answer is still wanted. */
  const wanted = new Set<number>()
  let handling = 0

  function forget(id: number, assembly: Assembly): void {
    assembling.delete(id)
    deps.budget.bytes -= assembly.received
  }

  function answer(id: number, response: CarrierResponse): void {
    const message = encodeResponse(response)
    const { response: kind, responsePart: partKind } = FederationFrame
    if (!deps.sender.queue({ id, kind, partKind, message })) deps.refuse(id, Refusal.busy)
  }

  function handle(id: number, message: Message): void {
    const wait = deps.bucket.borrow()
    const request = decodeRequest(message)
    const refusal = request === undefined ? Refusal.nonsense : deps.check(request)
    if (request === undefined || refusal !== undefined) {
      deps.refuse(id, refusal ?? Refusal.nonsense)
      return
    }
    handling += 1
    wanted.add(id)
    if (wait === 0) run(id, request)
    else deps.clock.after(wait, () => run(id, request))
  }

  async function handleWanted(id: number, request: EnvelopedRequest): Promise<CarrierResponse | undefined> {
    // It may have been given up while it waited for its turn.
    return wanted.has(id) ? deps.handle(request) : undefined
  }

  function run(id: number, request: EnvelopedRequest): void {
    handleWanted(id, request)
      .then(
        (response) => {
          if (wanted.delete(id) && response !== undefined) answer(id, response)
        },
        (error: unknown) => {
          const busy = error instanceof CarrierError && error.code === 'unreachable'
          if (wanted.delete(id)) deps.refuse(id, busy ? Refusal.busy : Refusal.failed)
          if (!busy) deps.failed(error)
        },
      )
      .finally(() => {
        handling -= 1
        deps.settled()
      })
      .catch((error: unknown) => deps.failed(error))
  }

  return {
    part(id, first, body) {
      if (first && (assembling.has(id) || wanted.has(id))) return 'request id in use'
      if (first && assembling.size + handling >= MAX_IN_FLIGHT) {
        deps.refuse(id, Refusal.busy)
        return undefined
      }
      const assembly = first ? createAssembly({ header: MAX_REQUEST_BYTES, body: 0 }) : assembling.get(id)
      // Parts of a request that was refused or cancelled are on their way for a while.
      if (assembly === undefined) return undefined
      assembling.set(id, assembly)
      if (deps.budget.bytes + body.length > MAX_ASSEMBLY_BYTES) {
        forget(id, assembly)
        deps.refuse(id, Refusal.busy)
        return undefined
      }
      const message = assembly.add(body)
      if (message === 'message too long') {
        forget(id, assembly)
        deps.refuse(id, Refusal.tooLarge)
        return undefined
      }
      if (typeof message === 'string') return message
      deps.budget.bytes += body.length
      if (message === undefined) return undefined
      forget(id, assembly)
      handle(id, message)
      return undefined
    },
    cancel(id) {
      const assembly = assembling.get(id)
      if (assembly !== undefined) forget(id, assembly)
      wanted.delete(id)
      deps.sender.drop(FederationFrame.response, id)
    },
    get active() {
      return assembling.size + handling
    },
  }
}
