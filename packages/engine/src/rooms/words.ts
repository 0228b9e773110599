/**
 * What members say that the state before an event is, where what it follows is known to none who was asked. One member's
 * word alone does not count: it could tell each another state, and those who believed it would never agree again.
 */
import type { EventId, RoomVersion, ServerName } from '@plexus/core'
import { serverOf } from '@plexus/core'
import type { Lru } from '../kernel/lru.ts'
import { CarrierError, type Log } from '../ports.ts'
import { claimedState, keepClaim } from './claims.ts'
import type { GapDeps, Inquiry } from './gap.ts'
import { resolveStates } from './present.ts'
import type { StateGroup } from './state-groups.ts'
import type { CheckedEvent } from './verify.ts'

/** Members that must say the same. */
export const MIN_ALIKE_WORDS = 2
/** Events about which words are remembered. */
export const MAX_WORDS = 1_000
/**
 * Where no two agree for so long, what servers other than the event's own say counts, resolved; what the event's own
 * says if none of the others answers at all: they may be gone for good.
 */
export const LONE_WORD_AFTER_MS = 600_000

/** By event: the name of the state that each server tells, `undefined` of one that answers and tells none. */
export type Words = Lru<EventId, ReadonlyMap<ServerName, string | undefined>>

export type WordsDeps = GapDeps & {
  readonly words: Words
  readonly ownName: ServerName
  readonly log: Log
}

export type Question = {
  readonly version: RoomVersion
  readonly event: CheckedEvent
  /** Servers in the room, as far as is known. */
  readonly servers: readonly ServerName[]
  /** How long the event has been waiting. */
  readonly waitedMs: number
}

/** Asks a server for the state before an event, unless it told it before. @throws CarrierError when it cannot be reached. */
export async function hearWord(deps: WordsDeps, inquiry: Inquiry, id: EventId): Promise<void> {
  const { server } = inquiry
  // Each state that is told is kept: one that says something else each time would fill the store.
  if (deps.words.get(id)?.get(server) !== undefined) return
  const note = (state?: string): void => deps.words.set(id, new Map(deps.words.get(id)).set(server, state))
  try {
    note((await claimedState(deps, inquiry, id)).id)
  } catch (error) {
    if (error instanceof CarrierError) throw error
    // What others said counts all the same.
    note()
    deps.log.log('debug', 'a server does not tell a state', { server, eventId: id, error: String(error) })
  }
}

/** The state that stands by what was said so far. */
export async function standingState(
  deps: WordsDeps,
  { version, event, servers, waitedMs }: Question,
): Promise<StateGroup | undefined> {
  const words = deps.words.get(event.id) ?? new Map<ServerName, undefined>()
  const said = [...words.values()].filter((name) => name !== undefined)
  const alike = said.find((name) => said.filter((other) => other === name).length >= MIN_ALIKE_WORDS)
  if (alike !== undefined) return deps.groups.load(alike)
  const own = serverOf(event.pdu.sender)
  const others = new Set([...servers, ...words.keys(), own])
  others.delete(deps.ownName)
  const [only] = said
  // There is nobody else to ask, nor to part from.
  if (others.size === 1 && only !== undefined) return deps.groups.load(only)
  if (waitedMs < LONE_WORD_AFTER_MS) return undefined
  const heard = [...words].filter(([server]) => server !== own)
  const names = heard.length === 0 ? said : heard.flatMap(([, name]) => name ?? [])
  const [first, ...more] = await Promise.all(names.map((name) => deps.groups.load(name)))
  if (first === undefined || more.length === 0) return first
  const states = [first, ...more].map(({ state }) => state)
  return keepClaim(deps, await resolveStates(version, states, deps.events.view()))
}
