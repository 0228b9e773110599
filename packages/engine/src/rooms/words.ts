/**
 * What members say that the state before an event is, where what it follows is known to none who was asked. One member's
 * word alone does not count: it could tell each another state, and those who believed it would never agree again.
 * Words are kept in memory alone: a state is written with the event that is decided on it.
 */
import type { EventId, RoomVersion, ServerName, StateMap } from '@plexus/core'
import { serverOf } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import { CarrierError, type Log } from '../ports.ts'
import { claimedState, claimName, MAX_STATE_EVENTS } from './claims.ts'
import type { GapDeps, Inquiry } from './gap.ts'
import { resolveStates } from './present.ts'
import type { CheckedEvent } from './verify.ts'

/** Members that must say the same. */
export const MIN_ALIKE_WORDS = 2
/** Events about which words are remembered, and words about each. */
export const MAX_WORDS = 1_000
export const MAX_TELLERS = 20
/** Entries of all told states together. Of those beyond only the names are remembered, and they are asked for again. */
export const MAX_TOLD_ENTRIES: number = 2 * MAX_STATE_EVENTS
/**
 * Where no two agree for so long, what servers other than the event's own say counts, resolved; what the event's own
 * says if none of the others answers at all: they may be gone for good.
 */
export const LONE_WORD_AFTER_MS = 600_000
/** Attempts, with another server each, before none of the others counts as there; fewer where fewer are in the room. */
export const MAX_TRIES_FOR_OTHERS = 10

export interface Words {
  /** The names of the states that servers told, the latest last. */
  about(id: EventId): ReadonlyMap<ServerName, string>
  /** `undefined` when it was forgotten. */
  state(name: string): StateMap | undefined
  note(id: EventId, server: ServerName, state: StateMap): void
  /** The event is decided. */
  forget(id: EventId): void
}

export function createWords(): Words {
  const names = createLru<EventId, ReadonlyMap<ServerName, string>>(MAX_WORDS)
  const states = new Map<string, StateMap>()
  let entries = 0

  const drop = (name: string): void => {
    entries -= states.get(name)?.size ?? 0
    states.delete(name)
  }

  return {
    about: (id) => names.get(id) ?? new Map(),
    state: (name) => states.get(name),
    note(id, server, state) {
      const name = claimName(state)
      const about = new Map(names.get(id))
      about.delete(server)
      names.set(id, new Map([...about, [server, name] as const].slice(-MAX_TELLERS)))
      drop(name)
      states.set(name, state)
      entries += state.size
      for (const oldest of states.keys()) {
        if (entries <= MAX_TOLD_ENTRIES) break
        drop(oldest)
      }
    },
    forget(id) {
      for (const name of names.get(id)?.values() ?? []) drop(name)
      names.delete(id)
    },
  }
}

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
  /** Some that answered, two at least if there are as many. */
  readonly answered: ReadonlySet<ServerName>
  /** Since the first answer: how long, and how many attempts, each with another of the servers among those asked. */
  readonly waitedMs: number
  readonly triesSince: number
}

/** Asks a server for the state before an event, unless that is remembered. @throws CarrierError when it cannot be reached. */
export async function hearWord(deps: WordsDeps, inquiry: Inquiry, id: EventId): Promise<void> {
  const { words, log } = deps
  const { server } = inquiry
  const before = words.about(id).get(server)
  if (before !== undefined && words.state(before) !== undefined) return
  try {
    words.note(id, server, await claimedState(deps, inquiry, id))
  } catch (error) {
    if (error instanceof CarrierError) throw error
    log.log('debug', 'a server does not tell a state', { server, eventId: id, error: String(error) })
  }
}

/** The state that stands by what was said so far. */
export async function standingState(
  { words, events, ownName }: WordsDeps,
  { version, event, servers, answered, waitedMs, triesSince }: Question,
): Promise<StateMap | undefined> {
  const about = words.about(event.id)
  const said = [...about.values()]
  const alike = said.find((name) => said.filter((other) => other === name).length >= MIN_ALIKE_WORDS)
  if (alike !== undefined) return words.state(alike)
  const own = serverOf(event.pdu.sender)
  const others = new Set([...servers, ...answered, ...about.keys(), own])
  others.delete(ownName)
  // There is nobody else to ask, nor to part from.
  if (others.size === 1) return words.state(said[0] ?? '')
  if (waitedMs < LONE_WORD_AFTER_MS) return undefined
  const isOtherThere = [...answered].some((server) => server !== own)
  const wereOthersAsked = triesSince >= Math.min(others.size, MAX_TRIES_FOR_OTHERS)
  const heard = [...about].filter(([server]) => server !== own || (wereOthersAsked && !isOtherThere))
  const states = heard.flatMap(([, name]) => words.state(name) ?? [])
  const [first] = states
  return states.length < 2 ? first : resolveStates(version, states, events.view())
}
