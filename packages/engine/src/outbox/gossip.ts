/**
 * Receipts and typing notices in rooms of many servers: the EDU `plexus.gossip`, signed by its origin, that expires and that
 * members pass on to each other. DESIGN section 7 "Fan-out"
 *
 * Invariants:
 * 1. Each is taken and passed on once, and only what the origin signed, about one room that it, who brought it and this
 *    node are in and whose ACL denies neither.
 * 2. What is remembered, what waits, what one server says and what is passed on in a time is bounded; what is over is
 *    dropped, since newer ones follow.
 */
import type { JsonObject, RoomId, ServerName } from '@plexus/core'
import { decodeBase64, encodeBase64, ownValue } from '@plexus/core'
import {
  gossipBytes,
  gossipContent,
  keyOfName,
  MAX_CLOCK_SKEW_MS,
  MAX_GOSSIP_MS,
  parseGossip,
  type Gossip,
  type SignedGossip,
} from '@plexus/core/names'
import { createLru } from '../kernel/lru.ts'
import type { Edu, EduEffect, EduHandler } from '../outbox-types.ts'
import type { Clock, Log, Signer, Verifier } from '../ports.ts'
import { aclOf } from '../rooms/acl.ts'
import type { Rooms } from '../rooms/types.ts'
import type { FanOut } from './fan-out.ts'

/** Rooms of more servers than this besides this one hear of receipts and typing by gossip. */
export const MAX_DIRECT_EDUS = 50
/** Servers that each node passes it on to. */
const FORWARDS = 4
/** Time in which what is to be passed on is gathered. */
const GATHER_MS = 250
/** Receipts of a user wait for so long, and the newest goes: many read an event at once. */
export const RECEIPTS_MS = 5_000
/** Own receipts that wait; what is remembered of signatures, of typing users, and of servers in one window. */
export const MAX_WAITING_GOSSIP = 100
export const MAX_SEEN_GOSSIP = 10_000
/** What is passed on, and said, taken of one origin, and looked at of one server although it was nothing, in one window. */
export const GOSSIP_WINDOW_MS = 10_000
export const MAX_PASSED_GOSSIP = 200
export const MAX_GOSSIP_OF_ORIGIN = 20
export const MAX_FALSE_GOSSIP = 20

export type GossipDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly signer: Signer
  readonly verifier: Verifier
  readonly rooms: () => Pick<Rooms, 'event' | 'snapshot'>
  readonly fanOut: Pick<FanOut, 'choose'>
  readonly send: (name: ServerName, edu: Edu) => void
}

export interface RoomGossip {
  /** Tells the room's servers; of those with one `key` the newest is told, after a while. */
  say(roomId: RoomId, edu: Edu, key?: string): void
  /** Takes what others say; `handlers` are those of the EDUs inside. */
  edu(handlers: ReadonlyMap<string, EduHandler>): EduHandler
  close(): void
}

export function createGossip(deps: GossipDeps): RoomGossip {
  const { clock, signer } = deps
  const seen = createLru<string, true>(MAX_SEEN_GOSSIP)
  /** The newest expiry of what was said of a user's typing. */
  const typing = createLru<string, number>(MAX_SEEN_GOSSIP)
  const counts = createCounts(clock)
  const receipts = new Map<string, { readonly roomId: RoomId; readonly edu: Edu }>()
  let passing: { readonly signed: SignedGossip; readonly from: ServerName }[] = []
  const timers = new Map<string, () => void>()
  let last = 0

  const later = (name: string, ms: number, run: () => void): void => {
    if (timers.has(name)) return
    const cancel = clock.after(ms, () => {
      timers.delete(name)
      run()
    })
    timers.set(name, cancel)
  }

  const pass = (signed: SignedGossip, from: ServerName): void => {
    // What others say must not keep this node's own from being said.
    if (!counts.add(from === signer.name ? 'own' : 'passed', MAX_PASSED_GOSSIP)) return
    passing.push({ signed, from })
    later('pass', GATHER_MS, () => {
      const ready = passing
      passing = []
      passAll(ready).catch((error: unknown) =>
        deps.log.log('error', 'gossip was not passed on', { error: String(error) }),
      )
    })
  }

  const passAll = async (ready: typeof passing): Promise<void> => {
    const chosen = new Map<RoomId, readonly ServerName[]>()
    for (const { signed, from } of ready) {
      const { roomId, origin } = signed.gossip
      const names = chosen.get(roomId) ?? (await choose(roomId))
      chosen.set(roomId, names)
      const edu = { edu_type: 'plexus.gossip', content: gossipContent(signed) }
      for (const name of names) if (name !== from && name !== origin) deps.send(name, edu)
    }
  }

  const choose = async (roomId: RoomId): Promise<readonly ServerName[]> => {
    const snapshot = await deps.rooms().snapshot(roomId)
    if (snapshot === undefined) return []
    return deps.fanOut.choose(roomId, FORWARDS, await aclOf((id) => deps.rooms().event(id), snapshot))
  }

  const sign = async (roomId: RoomId, { edu_type: type, content }: Edu): Promise<void> => {
    const wanted = clock.now() + MAX_GOSSIP_MS
    // As of envelopes: a clock that was set back must not leave all that follows with an expiry ahead.
    last = last - wanted > MAX_CLOCK_SKEW_MS ? wanted : Math.max(wanted, last + 1)
    const gossip: Gossip = { origin: signer.name, roomId, expires: last, type, content }
    const signature = encodeBase64(await signer.sign(gossipBytes(gossip)))
    const signed = parseGossip(gossipContent({ gossip, signature }))
    if (signed !== undefined) pass(signed, signer.name)
  }

  const tell = (roomId: RoomId, edu: Edu): void => {
    sign(roomId, edu).catch((error: unknown) =>
      deps.log.log('error', 'gossip was not signed', { error: String(error) }),
    )
  }

  /** True for what is said in a room to which all who had a hand in it belong. */
  const isOfRoom = async ({ roomId, origin }: Gossip, from: ServerName): Promise<boolean> => {
    const snapshot = await deps.rooms().snapshot(roomId)
    if (snapshot === undefined) return false
    const isAllowed = await aclOf((id) => deps.rooms().event(id), snapshot)
    const isMember = (name: ServerName): boolean => snapshot.joinedServers.includes(name) && isAllowed(name)
    return isMember(origin) && isMember(from) && snapshot.joinedServers.includes(signer.name)
  }

  const isSigned = async ({ gossip, signature }: SignedGossip): Promise<boolean> => {
    const publicKey = keyOfName(gossip.origin)
    const bytes = decodeBase64(signature)
    if (publicKey === undefined || bytes === undefined) return false
    const [isGood] = await deps.verifier.verify([
      { publicKey, message: gossipBytes(gossip), signature: bytes },
    ])
    return isGood === true
  }

  const isOld = ({ origin, roomId, expires, type, content }: Gossip): boolean => {
    if (type !== 'm.typing') return false
    const key = JSON.stringify([origin, roomId, ownValue(content, 'user_id')])
    const ahead = (typing.get(key) ?? 0) - expires
    // Further apart is a clock that was set.
    const isBehind = ahead > 0 && ahead <= MAX_GOSSIP_MS
    if (!isBehind) typing.set(key, expires)
    return isBehind
  }

  const take = async (
    from: ServerName,
    signed: SignedGossip,
    handlers: ReadonlyMap<string, EduHandler>,
  ): Promise<EduEffect> => {
    const { gossip, signature } = signed
    const { origin, expires } = gossip
    const handler = handlers.get(gossip.type)
    const content = aboutRoom(gossip)
    const now = clock.now()
    const isDue = expires > now - MAX_CLOCK_SKEW_MS && expires <= now + MAX_GOSSIP_MS + MAX_CLOCK_SKEW_MS
    if (handler === undefined || content === undefined || !isDue || origin === signer.name) return undefined
    if (seen.get(signature) === true || counts.isOver(`false ${from}`, MAX_FALSE_GOSSIP)) return undefined
    if (!(await isOfRoom(gossip, from)) || !(await isSigned(signed))) {
      counts.add(`false ${from}`, MAX_FALSE_GOSSIP)
      return undefined
    }
    // Another may have brought it meanwhile.
    if (seen.get(signature) === true || !counts.add(`of ${origin}`, MAX_GOSSIP_OF_ORIGIN)) return undefined
    seen.set(signature, true)
    pass(signed, from)
    return isOld(gossip) ? undefined : handler(origin, content)
  }

  return {
    say(roomId, edu, key) {
      if (key === undefined) return tell(roomId, edu)
      receipts.set(key, { roomId, edu })
      const [oldest] = receipts.keys()
      if (receipts.size > MAX_WAITING_GOSSIP && oldest !== undefined) receipts.delete(oldest)
      return later('receipts', RECEIPTS_MS, () => {
        for (const waiting of receipts.values()) tell(waiting.roomId, waiting.edu)
        receipts.clear()
      })
    },
    edu: (handlers) => async (from, content) => {
      const signed = parseGossip(content)
      return signed === undefined ? undefined : take(from, signed, handlers)
    },
    close() {
      for (const cancel of timers.values()) cancel()
    },
  }
}

/** The content as far as it is about the room that the gossip names; `undefined` where it is about none, or of no known type. */
function aboutRoom({ type, roomId, content }: Gossip): JsonObject | undefined {
  if (type === 'm.typing') return ownValue(content, 'room_id') === roomId ? content : undefined
  const receipts = type === 'm.receipt' ? ownValue(content, roomId) : undefined
  return receipts === undefined ? undefined : { [roomId]: receipts }
}

/** Counts by name, forgotten after each window. */
function createCounts(clock: Clock): {
  /** False when that many were counted before. */
  add(name: string, max: number): boolean
  isOver(name: string, max: number): boolean
} {
  const counts = new Map<string, number>()
  let since = 0
  const count = (name: string): number => {
    if (Math.abs(clock.now() - since) >= GOSSIP_WINDOW_MS) {
      counts.clear()
      since = clock.now()
    }
    return counts.get(name) ?? (counts.size < MAX_SEEN_GOSSIP ? 0 : Infinity)
  }
  return {
    isOver: (name, max) => count(name) >= max,
    add(name, max) {
      const before = count(name)
      if (before < max) counts.set(name, before + 1)
      return before < max
    },
  }
}
