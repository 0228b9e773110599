import type { Clock } from '@plexus/engine/ports'

/** Milliseconds between pings. */
export const PING_INTERVAL_MS = 15_000
/** Silence after which the other side is dead. Longer than a tab's main thread is ever blocked by honest work. */
export const DEAD_AFTER_MS = 60_000
/** Silence after a probe that tells the other side dead. */
export const PROBE_MS = 10_000
/** A timer that is later than this was held up by our own platform: the silence says nothing about the other side. */
const LATE_TIMER_MS = 5_000

export type HeartbeatDeps = {
  readonly clock: Clock
  /** Sends a ping with this id. */
  ping(id: number): void
  dead(): void
  /** A round trip took so many milliseconds. */
  roundTrip(ms: number): void
}

/** Tells whether the other side of a stream lives, and how far it is. */
export interface Heartbeat {
  /** Something came. */
  heard(): void
  pong(id: number): void
  /** There is reason to doubt the connection, as after a sleep: finds out soon. */
  probe(): void
  stop(): void
}

export function createHeartbeat(deps: HeartbeatDeps): Heartbeat {
  const { clock } = deps
  let lastHeard = clock.now()
  let ping: { readonly id: number; readonly at: number } | undefined
  let pings = 0
  let cancel: () => void = () => undefined
  let cancelProbe: (() => void) | undefined

  function send(): void {
    pings += 1
    ping = { id: pings, at: clock.now() }
    deps.ping(pings)
  }

  function schedule(): void {
    const expected = clock.now() + PING_INTERVAL_MS
    cancel = clock.after(PING_INTERVAL_MS, () => {
      const now = clock.now()
      const late = now - expected > LATE_TIMER_MS || now < expected - LATE_TIMER_MS
      if (late) lastHeard = now
      if (now - lastHeard > DEAD_AFTER_MS) {
        deps.dead()
        return
      }
      schedule()
      send()
    })
  }

  schedule()
  send()

  return {
    heard() {
      lastHeard = clock.now()
    },
    pong(id) {
      if (ping?.id !== id) return
      deps.roundTrip(Math.max(0, clock.now() - ping.at))
      ping = undefined
    },
    probe() {
      if (cancelProbe !== undefined) return
      const asked = clock.now()
      cancelProbe = clock.after(PROBE_MS, () => {
        cancelProbe = undefined
        const late = clock.now() - asked > PROBE_MS + LATE_TIMER_MS
        if (!late && lastHeard < asked) deps.dead()
      })
      send()
    },
    stop() {
      cancel()
      cancelProbe?.()
    },
  }
}
