/** Pauses between attempts that fail. */
import type { Random } from '../ports.ts'

/**
 * Milliseconds to wait after the `failures`th failure in a row, from 1: half to the whole of a time that doubles from
 * `first` to `longest`, so that those who failed together do not return at once.
 */
export function backoffMs(random: Random, failures: number, first: number, longest: number): number {
  const ceiling = Math.min(longest, first * 2 ** (failures - 1))
  const [chance = 0] = random.bytes(1)
  return Math.ceil(ceiling * (0.5 + chance / 512))
}
