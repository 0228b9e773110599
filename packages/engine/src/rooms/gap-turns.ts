/**
 * Whose gap is filled next. The servers whose events wait take turns; one whose gaps cannot be filled is left alone for
 * growing pauses, so that it costs the others nothing and nobody many requests.
 */
import type { ServerName } from '@plexus/core'

export const FIRST_RETRY_MS = 1_000
export const LAST_RETRY_MS = 900_000
/** Gaps of one server that are tried before it is left alone. */
export const MAX_GAPS_IN_TURN = 5
/** The pause of a server that sent something, and of all when a server appears, ends within this. */
export const MAX_PAUSE_AFTER_CONTACT_MS = 10_000

type Turn<Entry> = {
  /** The one tried longest ago first. */
  readonly entries: Set<Entry>
  readonly tried: Set<Entry>
  pauseMs: number
  until: number
  /** When it was last left alone. */
  ended: number
}

export interface GapTurns<Entry> {
  add(entry: Entry): void
  remove(entry: Entry): void
  /** The next to try, if one is due. */
  next(now: number): Entry | undefined
  failed(entry: Entry, now: number): void
  /** Only a server of which nothing failed meanwhile begins anew with short pauses. */
  filled(entry: Entry, now: number): void
  /** The server sent something: it can be asked. */
  arrived(server: ServerName, now: number): void
  /** The server is here: its pause is over, and those of all end soon, since it may know what others do not. */
  appeared(server: ServerName, now: number): void
  /** The clock was set back: all pauses are over. */
  setBack(now: number): void
  /** When the next is due, `undefined` when none waits. */
  due(): number | undefined
}

/** `isGap`: false for an entry that waits for others that are here already. */
export function createGapTurns<Entry extends { readonly origin: ServerName }>(
  isGap: (entry: Entry) => boolean,
): GapTurns<Entry> {
  /** The server that had its turn longest ago first. */
  const turns = new Map<ServerName, Turn<Entry>>()

  const untried = ({ entries, tried }: Turn<Entry>): Entry | undefined => {
    for (const entry of entries) if (!tried.has(entry) && isGap(entry)) return entry
    return undefined
  }

  const hasGap = ({ entries }: Turn<Entry>): boolean => {
    for (const entry of entries) if (isGap(entry)) return true
    return false
  }

  /** The others that wait go first. */
  const endTurn = (origin: ServerName): Turn<Entry> | undefined => {
    const turn = turns.get(origin)
    if (turn === undefined) return undefined
    turns.delete(origin)
    turns.set(origin, turn)
    return turn
  }

  const pause = (turn: Turn<Entry>, now: number): void => {
    turn.tried.clear()
    turn.ended = now
    turn.until = now + turn.pauseMs
    turn.pauseMs = Math.min(turn.pauseMs * 2, LAST_RETRY_MS)
  }

  return {
    add(entry) {
      const turn = turns.get(entry.origin) ?? {
        entries: new Set(),
        tried: new Set(),
        pauseMs: FIRST_RETRY_MS,
        until: 0,
        ended: 0,
      }
      turn.entries.add(entry)
      turns.set(entry.origin, turn)
    },
    remove(entry) {
      const turn = turns.get(entry.origin)
      turn?.entries.delete(entry)
      turn?.tried.delete(entry)
      if (turn?.entries.size === 0) turns.delete(entry.origin)
    },
    next(now) {
      for (const turn of turns.values()) {
        if (turn.until > now) continue
        const entry = untried(turn)
        if (entry !== undefined) return entry
        // The others that waited for their turn went away: what was tried is due after a pause, as if they had been tried too.
        if (turn.tried.size > 0) pause(turn, now)
      }
      return undefined
    },
    failed(entry, now) {
      const turn = endTurn(entry.origin)
      if (turn?.entries.delete(entry) !== true) return
      turn.entries.add(entry)
      turn.tried.add(entry)
      if (turn.tried.size >= MAX_GAPS_IN_TURN || untried(turn) === undefined) pause(turn, now)
    },
    filled(entry, now) {
      const turn = endTurn(entry.origin)
      if (turn?.entries.delete(entry) !== true) return
      if (turn.tried.size === 0) turn.pauseMs = FIRST_RETRY_MS
      else if (untried(turn) === undefined) pause(turn, now)
    },
    arrived(server, now) {
      const turn = turns.get(server)
      if (turn !== undefined) turn.until = Math.min(turn.until, now + MAX_PAUSE_AFTER_CONTACT_MS)
    },
    appeared(server, now) {
      for (const turn of turns.values()) turn.until = Math.min(turn.until, now + MAX_PAUSE_AFTER_CONTACT_MS)
      const own = turns.get(server)
      if (own === undefined) return
      own.pauseMs = FIRST_RETRY_MS
      // Who comes and goes is not asked more often for it.
      own.until = Math.min(own.until, Math.max(now, own.ended + FIRST_RETRY_MS))
    },
    setBack(now) {
      for (const turn of turns.values()) turn.until = Math.min(turn.until, now)
    },
    due() {
      let due: number | undefined
      for (const turn of turns.values()) {
        if ((due === undefined || turn.until < due) && hasGap(turn)) due = turn.until
      }
      return due
    },
  }
}
