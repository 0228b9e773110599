/** What the rest of the engine and the APIs see of the outbox and of inbound EDUs. */
import type { EventId, JsonObject, RoomId, ServerName } from '@plexus/core'
import type { Delivery, Heads, Received, Taken, Write } from './ports.ts'

export type Edu = { readonly edu_type: string; readonly content: JsonObject }

/** EDUs to other servers, and what became of own events. */
export interface Outbox {
  /**
   * The writes that queue a durable EDU (to-device, device list, signing key) for `destination`. To be called inside
   * `Change.writes` of the change that causes it, and only there: EDUs go out in commit order.
   */
  queueDurable(destination: ServerName, edu: Edu): readonly Write[]
  /** So much waits for the destination, or for all, that no more durable EDUs are to be queued for it, or for any. */
  isFull(destination?: ServerName): boolean
  /** Calls back when a destination that was full has all that waited, and when there is room again after there was none. */
  onDrained(listener: () => void): void
  /** JSON text of the durable EDUs that wait, in UTF-16 code units. */
  readonly waitingLength: number
  /** Sends an EDU of which only the newest per `key` matters (receipts); lost when the process ends. */
  sendCoalesced(destination: ServerName, key: string, edu: Edu): void
  /**
   * Sends an EDU about a room to its servers: of those with one `key` only the newest matters (receipts), one without goes
   * now or never (typing). Where there are many servers, they pass it on to each other.
   */
  sendToRoom(roomId: RoomId, servers: readonly ServerName[], edu: Edu, key?: string): void
  /** Work may be waiting for these destinations. `appeared`: the peer is here, forget the backoff. */
  kick(destinations: readonly ServerName[], appeared?: boolean): void
  /** The server has made a request, so it is up: what waits for it is tried now, once. */
  heard(server: ServerName): void
  /** The server tells what it has got of the mail of this store. */
  received(server: ServerName, received: Received): void
  delivery(roomId: RoomId, eventId: EventId): Promise<Delivery | undefined>
  watch(listener: (delivery: Delivery) => void): () => void
  /** Own events that neither another member's node nor a relay has yet. */
  waiting(): Promise<number>
  /** The servers of the other members, by room; also of rooms that no local user is in any more. */
  peers(): ReadonlyMap<RoomId, readonly ServerName[]>
}

/**
 * Applies one inbound EDU of a type. Durable types return the writes that apply it, committed together with the
 * origin's sequence; others act and return nothing. Must not throw on any content: what is malformed is ignored.
 */
export type EduHandler = (origin: ServerName, content: JsonObject) => Promise<EduEffect>
export type EduEffect =
  | { readonly writes: (position: number) => readonly Write[]; readonly publish?: (position: number) => void }
  | undefined

export type InboundTransaction = {
  readonly origin: ServerName
  readonly pdus: readonly JsonObject[]
  readonly edus: readonly JsonObject[]
  /** The forward extremities that the origin tells. */
  readonly heads?: Heads
  /** Events of ours that it has. */
  readonly taken?: Taken
  /** What it has got of our mail. */
  readonly received?: Received
  /**
   * The sequence of the last durable EDU in `edus`, of the sender's `incarnation` (both from the envelope), and what
   * the sender has seen acknowledged (`plexus.acknowledged` of the content, 0 when absent).
   */
  readonly ordered?: {
    readonly incarnation: string
    readonly sequence: number
    readonly acknowledged: number
    /** It was left at a relay, where others may have been lost: what is ahead of its turn is kept. */
    readonly byMail?: true
  }
}

export interface Inbound {
  /** PUT /send: stages and applies everything durably, then answers. */
  transaction(transaction: InboundTransaction): Promise<{
    pdus: Readonly<Record<string, { error?: string }>>
    /** What is committed of the sender's incarnation. */
    committed?: number
    /** Our forward extremities of the rooms that the origin told of. */
    heads?: Heads
  }>
  /** True when nothing that goes before it is missing here. */
  isNext(transaction: InboundTransaction): Promise<boolean>
}
