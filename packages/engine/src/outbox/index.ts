/**
 * The outbox: for each destination, a cursor in the own events of each shared room and a queue of durable EDUs.
 *
 * Invariants:
 * 1. What is queued is committed with the change that caused it, and leaves in the commit that notes its
 *    acknowledgement; a crash in between sends it again, and the receiver knows it by event id or sequence.
 * 2. One transaction at a time is under way to a destination, so what arrives is in order.
 * 3. The wire sequence of the k-th durable EDU that waits is `acknowledged + k`: rows are added at the end only and
 *    deleted with the counter's rise, so a sequence never names two EDUs.
 */
import type { EventId, RoomId, ServerName } from '@plexus/core'
import { checkCanonical, encodeBase64Url } from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import type { Committer } from '../kernel/committer.ts'
import { createMailer, type MailerDeps } from '../mail/mailer.ts'
import type { Edu, Outbox } from '../outbox-types.ts'
import type { Clock, Federation, Log, Random, Signer, Store, Taken, Verifier } from '../ports.ts'
import type { DestinationTracker } from '../rooms/room.ts'
import type { Staging } from '../rooms/staging.ts'
import type { EventRecord, Rooms } from '../rooms/types.ts'
import { createAfterCommit } from './after-commit.ts'
import { createCursors } from './cursors.ts'
import { createDeliveries } from './deliveries.ts'
import { createFanOut, type FanOutInit } from './fan-out.ts'
import { createGossip, MAX_DIRECT_EDUS, type RoomGossip } from './gossip.ts'
import { createHeadExchange, type HeadExchange } from './heads.ts'
import { edus, loadOutboxMemory, MAX_COALESCED_EDUS } from './memory.ts'
import { createSender } from './sender.ts'
import { createTakenEvents } from './taken.ts'
import { createTracker } from './tracker.ts'

/** Chance in the transaction ids of one process. */
const TRANSACTION_ID_BYTES = 9
/** Typing notices and gossip that wait for the next transaction. */
export const MAX_VOLATILE_EDUS = 50

export type OutboxDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly federation: Federation
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly signer: Signer
  readonly verifier: Verifier
  readonly ownName: ServerName
  /** Asked at each use: rooms need the outbox as much as it needs them. */
  readonly rooms: () => Pick<Rooms, 'event' | 'events' | 'snapshot' | 'receivers'>
  readonly fanOut?: FanOutInit | undefined
  readonly maxWaitingLength?: number | undefined
  readonly staging: () => Pick<Staging, 'receive' | 'holds'>
  /** A server has made a request. */
  readonly heard?: (server: ServerName) => void
  /** Absent where no mail is left. */
  readonly mail?: OutboxMail | undefined
}

export type OutboxMail = Pick<MailerDeps, 'mailboxes' | 'sealer' | 'incarnation' | 'contacts' | 'received'>

export interface OutboxOwner {
  readonly outbox: Outbox
  readonly destinations: DestinationTracker
  readonly heads: HeadExchange
  /** Takes receipts and typing notices that others pass on. */
  readonly gossip: Pick<RoomGossip, 'edu'>
  /** The server tells which of our events it has. */
  taken(server: ServerName, taken: Taken): void
  /** Sends what an earlier process left. */
  resume(): void
  /** Says what has come by mail to those who mailed it. */
  tell(names: readonly ServerName[]): void
  sharesRoom(name: ServerName): boolean
  /** Since when it has been out of reach and was not heard from, milliseconds since the epoch. */
  awaySince(name: ServerName): number | undefined
  /** Resolves when nothing is being sent (what waits for a peer may remain). */
  idle(): Promise<void>
  close(): void
}

export async function createOutbox(deps: OutboxDeps): Promise<OutboxOwner> {
  const memory = await loadOutboxMemory(deps.store, deps.maxWaitingLength)
  const afterCommit = createAfterCommit(deps.committer)
  const cursors = createCursors({ memory, afterCommit, committer: deps.committer })
  const deliveries = createDeliveries({ store: deps.store, ownName: deps.ownName, memory })
  // Unique across restarts, since a stock server answers a repeated transaction id from its cache.
  const prefix = encodeBase64Url(deps.random.bytes(TRANSACTION_ID_BYTES))
  let transactions = 0
  const transactionId = (): string => `${prefix}-${(transactions += 1)}`
  const loadEvents = (ids: readonly EventId[]): Promise<readonly (EventRecord | undefined)[]> =>
    deps.rooms().events(ids)
  const kick = (names: readonly ServerName[]): void => sender.kick(names)
  const fanOut = createFanOut({ ...deps, memory, kick }, deps.fanOut)
  const taken = createTakenEvents({ ...deps, memory, cursors, deliveries, fanOut, kick })
  const heads = createHeadExchange({
    ...deps,
    memory,
    fanOut,
    kick,
    receive: (server, pdus) => deps.staging().receive(server, pdus),
    holds: (roomId, id) => deps.staging().holds(roomId, id),
  })
  const parts = { ...deps, memory, heads, fanOut, taken, cursors, deliveries, transactionId, loadEvents }
  const sender = createSender({
    ...parts,
    received: deps.mail?.received,
    mailer: deps.mail === undefined ? undefined : createMailer({ ...parts, ...deps.mail }),
  })

  const sendVolatile = (name: ServerName, edu: Edu): void => {
    const target = memory.destinations.get(name)
    if (target === undefined || target.failures > 0) return
    target.volatile = [...target.volatile, edu].slice(-MAX_VOLATILE_EDUS)
    sender.kick([name])
  }
  const sendCoalesced = (name: ServerName, key: string, edu: Edu): void => {
    const { coalesced } = memory.destination(name)
    coalesced.delete(key)
    coalesced.set(key, edu)
    const [oldest] = coalesced.keys()
    if (coalesced.size > MAX_COALESCED_EDUS && oldest !== undefined) coalesced.delete(oldest)
    sender.kick([name])
  }
  const gossip = createGossip({ ...deps, fanOut, send: sendVolatile })

  const outbox: Outbox = {
    queueDurable(name, edu) {
      const key = memory.nextEduKey()
      const target = memory.destination(name)
      // What cannot be signed would be tried for ever, and keep all that follows.
      const why = checkCanonical(edu)
      if (why !== undefined)
        deps.log.log('error', 'an EDU is not canonical JSON', { type: edu.edu_type, why })
      const kept = why === undefined ? edu : { edu_type: edu.edu_type, content: {} }
      const write = edus.put([name, key], kept)
      afterCommit.run(deps.committer.committed + 1, () => {
        target.lastEdu = Math.max(target.lastEdu, key)
        memory.room.add(target, write.value?.length ?? 0)
        sender.kick([name])
      })
      return [write]
    },
    isFull: (name) => memory.room.isFull(name === undefined ? undefined : memory.destinations.get(name)),
    onDrained: (listener) => memory.room.onDrained(listener),
    get waitingLength() {
      return memory.room.waitingLength
    },
    sendCoalesced,
    sendToRoom(roomId, servers, edu, key) {
      const isLarge = fanOut.size(roomId) > (deps.fanOut?.directEdus ?? MAX_DIRECT_EDUS)
      if (isLarge) gossip.say(roomId, edu, key)
      for (const name of servers) {
        if (name === deps.ownName || (isLarge && isKeyName(name))) continue
        if (key === undefined) sendVolatile(name, edu)
        else sendCoalesced(name, key, edu)
      }
    },
    kick(names, appeared) {
      if (appeared === true) heads.appeared(names)
      sender.kick(names, appeared)
    },
    heard(server) {
      sender.heard(server)
      deps.heard?.(server)
    },
    received: (server, received) => sender.received(server, received),
    delivery: (roomId, eventId) => deliveries.delivery(roomId, eventId),
    watch: (listener) => deliveries.watch(listener),
    waiting: () => deliveries.waiting(),
    peers() {
      const peers = new Map<RoomId, ServerName[]>()
      for (const { name, rooms } of memory.destinations.values()) {
        for (const [roomId, { until }] of rooms) {
          if (until !== undefined) continue
          const names = peers.get(roomId) ?? []
          names.push(name)
          peers.set(roomId, names)
        }
      }
      return peers
    },
  }

  return {
    outbox,
    destinations: createTracker({
      ownName: deps.ownName,
      memory,
      afterCommit,
      cursors,
      deliveries,
      heads,
      fanOut,
      taken,
      kick,
    }),
    heads,
    gossip,
    taken: (server, told) => taken.heard(server, told),
    resume() {
      const names = [...memory.destinations.keys()]
      // Stock servers stop trying a server that was away, until they hear of it. DESIGN section 9
      for (const target of memory.destinations.values())
        target.greet =
          !isKeyName(target.name) && [...target.rooms.values()].some(({ until }) => until === undefined)
      heads.appeared(names)
      fanOut.resume()
      sender.kick(names)
    },
    tell(names) {
      for (const name of names) memory.destination(name)
      sender.kick(names)
    },
    awaySince: (name) => memory.destinations.get(name)?.awaySince,
    sharesRoom: (name) => {
      const rooms = memory.destinations.get(name)?.rooms.values() ?? []
      return [...rooms].some(({ until }) => until === undefined)
    },
    async idle() {
      await heads.idle()
      await sender.idle()
    },
    close() {
      heads.close()
      fanOut.close()
      taken.close()
      gossip.close()
      sender.close()
    },
  }
}
