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
  /** JSON text of the request, in UTF-16 code units; 0 for one that did not arrive. */
  length: number
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
  /** Cuts all lines between servers of different groups; those of no group are in one. None are cut of an empty map. */
  partition(groups: ReadonlyMap<ServerName, number>): void
  /** Asked for each request that sets out. */
  decideFate(rule: (sent: Sent) => Fate): void
  /** Every request that set out, in order; empty where `finished` is told of them. */
  readonly log: readonly LoggedRequest[]
  /** Requests that are under way. */
  readonly underway: number
}

export type LoopbackDeps = {
  readonly clock: Clock
  /** Told of each request when its outcome is known: for networks whose log would fill the memory. */
  readonly finished?: (entry: LoggedRequest) => void
}

export function createLoopback({ clock, finished }: LoopbackDeps): Loopback {
  const handlers = new Map<ServerName, InboundHandler<EnvelopedRequest>>()
  const away = new Set<ServerName>()
  const cuts = new Set<string>()
  let groups: ReadonlyMap<ServerName, number> = new Map()
  const log: LoggedRequest[] = []
  let underway = 0
  let fateOf: (sent: Sent) => Fate = () => ({})

  const lineOf = (one: ServerName, other: ServerName): string => [one, other].toSorted().join(' ')
  const isCut = (from: ServerName, to: ServerName): boolean =>
    groups.get(from) !== groups.get(to) || (cuts.size > 0 && cuts.has(lineOf(from, to)))
  const reach = (from: ServerName, to: ServerName): InboundHandler<EnvelopedRequest> | undefined =>
    away.has(from) || away.has(to) || isCut(from, to) ? undefined : handlers.get(to)

  const pause = async (ms: number | undefined): Promise<void> => {
    if (ms === undefined) return
    await new Promise<void>((resolve) => {
      clock.after(ms, resolve)
    })
  }

  const deliver = async (sent: LoggedRequest, fate: Fate): Promise<CarrierResponse> => {
    if (reach(sent.from, sent.to) === undefined) throw new CarrierError('unreachable', 'the node is away')
    await pause(fate.delayMs)
    const handle = reach(sent.from, sent.to)
    if (handle === undefined || fate.lose === 'request') throw new CarrierError('timeout', 'no answer came')
    // Everything becomes bytes on the way: no node shares an object with another.
    const text = JSON.stringify(sent.enveloped)
    sent.length = text.length
    const response = await handle(JSON.parse(text) as EnvelopedRequest)
    if (fate.twice === true) await handle(JSON.parse(text) as EnvelopedRequest)
    await pause(fate.answerDelayMs)
    if (fate.lose === 'answer' || reach(sent.from, sent.to) === undefined) {
      throw new CarrierError('timeout', 'the answer was lost')
    }
    return { ...response, body: response.body.slice() }
  }

  const carrier = (from: ServerName): Carrier => ({
    async send(enveloped, { signal }) {
      const { destination: to, method, uri } = enveloped.request
      const entry: LoggedRequest = { from, to, method, uri, enveloped, outcome: 'waiting', length: 0 }
      if (finished === undefined) log.push(entry)
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
        finished?.(entry)
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
    partition(next) {
      groups = next
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
