/** Trying again what failed only because somebody was not there. */
import { isUnreachable } from './problems.ts'

/** Waits between the attempts, in milliseconds. */
const WAITS_MS: readonly number[] = [500, 1_500, 3_000, 5_000]

/** The answer of the first attempt that reached the other side. @throws what the last attempt threw */
export async function withPatience<T>(
  attempt: () => Promise<T>,
  waits: readonly number[] = WAITS_MS,
): Promise<T> {
  for (const wait of waits) {
    try {
      return await attempt()
    } catch (error) {
      if (!isUnreachable(error)) throw error
      await new Promise((resolve) => setTimeout(resolve, wait))
    }
  }
  return attempt()
}
