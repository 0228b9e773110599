import type { Clock, Log, Random } from '@plexus/engine/ports'

export const clock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

export const random: Random = {
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
}

/** To the browser's console. */
export const log: Log = {
  log(level, message, fields) {
    if (fields === undefined) console[level](`plexus: ${message}`)
    else console[level](`plexus: ${message}`, fields)
  },
}
