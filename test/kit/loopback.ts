/** A network of nodes in one process: carriers that call each other's handlers, and what can go wrong on the way. */
import type { ServerName } from '@plexus/core'
import type { Carrier, CarrierResponse, Clock, EnvelopedRequest, InboundHandler } from '@plexus/engine/ports'
import { CarrierError } from '@plexus/engine/ports'

/** What becomes of one request. Without any of these it is delivered at once, and answered. */
export type Fate = {
  /** The request is lost, or its answer; the sender is told of a time-out. */
  readonly lose?: 'request' | 'answer'
  /** The destination gets the same bytes twice; the sender gets the first answer. */
  readonly twice?: boolean
  /** Milliseconds until the request arrives. */
  readonly delayMs?: number
  /** Milliseconds until the answer is back. */
  readonly answerDelayMs?: number
}

export type Sent = {
  readonly from: ServerName
  readonly to: ServerName
  readonly method: string
  readonly uri: string
  readonly enveloped: EnvelopedRequest
}

export type LoggedRequest = Sent & {
  /** The status of the answer, or how it failed; `waiting` until either. */
  outcome: number | 'waiting' | 'lost' | 'unreachable' | 'aborted'
  /** The answer, where the sender got it. */
  response?: CarrierResponse
}

export interface Loopback {
  /** The way of one node into the network; it is reachable once it has a handler. */
  carrier(name: ServerName): Carrier
  /** Takes the place of an earlier handler of that name; `undefined` takes the node down. */
  connect(name: ServerName, handler: InboundHandler<EnvelopedRequest> | undefined): void
  offline(name: ServerName, isOffline?: boolean): void
  /** Cuts or heals the line between two nodes, both ways. */
  cut(one: ServerName, other: ServerName, isCut?: boolean): void
  /** Asked for each request that sets out. */
  decideFate(rule: (sent: Sent) => Fate): void
  /** Every request that set out, in order. */
  readonly log: readonly LoggedRequest[]
  /** Requests that are under way. */
  readonly underway: number
}

/** Everything becomes bytes on the way: no node shares an object with another. */
function overTheWire(enveloped: EnvelopedRequest): EnvelopedRequest {
  return JSON.parse(JSON.stringify(enveloped)) as EnvelopedRequest
}

export function createLoopback({ clock }: { readonly clock: Clock }): Loopback {
  const handlers = new Map<ServerName, InboundHandler<EnvelopedRequest>>()
  const away = new Set<ServerName>()
  const cuts = new Set<string>()
  const log: LoggedRequest[] = []
  let underway = 0
  let fateOf: (sent: Sent) => Fate = () => ({})

  const lineOf = (one: ServerName, other: ServerName): string => [one, other].toSorted().join(' ')
  const reach = (from: ServerName, to: ServerName): InboundHandler<EnvelopedRequest> | undefined =>
    away.has(from) || away.has(to) || cuts.has(lineOf(from, to)) ? undefined : handlers.get(to)

  const pause = async (ms: number | undefined): Promise<void> => {
    if (ms === undefined) return
    await new Promise<void>((resolve) => {
      clock.after(ms, resolve)
    })
  }

  const deliver = async (sent: Sent, fate: Fate): Promise<CarrierResponse> => {
    if (reach(sent.from, sent.to) === undefined) throw new CarrierError('unreachable', 'the node is away')
    await pause(fate.delayMs)
    const handle = reach(sent.from, sent.to)
    if (handle === undefined || fate.lose === 'request') throw new CarrierError('timeout', 'no answer came')
    const response = await handle(overTheWire(sent.enveloped))
    if (fate.twice === true) await handle(overTheWire(sent.enveloped))
    await pause(fate.answerDelayMs)
    if (fate.lose === 'answer' || reach(sent.from, sent.to) === undefined) {
      throw new CarrierError('timeout', 'the answer was lost')
    }
    return { ...response, body: response.body.slice() }
  }

  const carrier = (from: ServerName): Carrier => ({
    async send(enveloped, { signal }) {
      const { destination: to, method, uri } = enveloped.request
      const entry: LoggedRequest = { from, to, method, uri, enveloped, outcome: 'waiting' }
      log.push(entry)
      underway += 1
      try {
        const response = await deliver(entry, fateOf(entry))
        signal?.throwIfAborted()
        entry.outcome = response.status
        entry.response = response
        return response
      } catch (error) {
        const code = error instanceof CarrierError ? error.code : undefined
        entry.outcome = code === undefined ? 'aborted' : code === 'unreachable' ? 'unreachable' : 'lost'
        throw error
      } finally {
        underway -= 1
      }
    },
  })

  return {
    carrier,
    connect(name, handler) {
      if (handler === undefined) handlers.delete(name)
      else handlers.set(name, handler)
    },
    offline(name, isOffline = true) {
      if (isOffline) away.add(name)
      else away.delete(name)
    },
    cut(one, other, isCut = true) {
      if (isCut) cuts.add(lineOf(one, other))
      else cuts.delete(lineOf(one, other))
    },
    decideFate(rule) {
      fateOf = rule
    },
    log,
    get underway() {
      return underway
    },
  }
}
