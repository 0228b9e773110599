/** Numbers of the changes to what is kept in memory only, all of one row, so that one number says what a client has seen. */
import type { Clock } from '../ports.ts'

/** Grows with every change; not kept. */
export interface Serial {
  readonly current: number
  next(): number
}

/** Begins with the clock, so that numbers of before a restart are lower. */
export function createSerial(clock: Clock): Serial {
  let current = clock.now()
  return {
    get current() {
      return current
    },
    next() {
      current += 1
      return current
    },
  }
}
