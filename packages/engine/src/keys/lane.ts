/**
 * Lets a few through at a time, in turns of those for whom they come.
 *
 * Invariants:
 * 1. At most `maxRunning` run, at most `maxForOne` of them for one.
 * 2. Who waits has a turn after at most one of each other's.
 * 3. At most `maxWaiting` wait. Beyond that the newest of the longest queue is turned away: who fills the lane makes
 *    room for the others.
 */
export interface Lane {
  /** False for one that is turned away; `end` follows upon true. */
  start(by: string): Promise<boolean>
  end(by: string): void
}

export type LaneInit = {
  readonly maxRunning: number
  readonly maxForOne: number
  readonly maxWaiting: number
}

type Waiter = (hasTurn: boolean) => void

export function createLane({ maxRunning, maxForOne, maxWaiting }: LaneInit): Lane {
  /** In the order of their turns. */
  const queues = new Map<string, Waiter[]>()
  const running = new Map<string, number>()
  let runningInAll = 0
  let waitingInAll = 0

  const hasRoom = (by: string): boolean => runningInAll < maxRunning && (running.get(by) ?? 0) < maxForOne
  const change = (by: string, change: 1 | -1): void => {
    const count = (running.get(by) ?? 0) + change
    runningInAll += change
    if (count === 0) running.delete(by)
    else running.set(by, count)
  }
  const turnAway = (): void => {
    let longest: readonly [by: string, queue: Waiter[]] | undefined
    for (const entry of queues) if (entry[1].length >= (longest?.[1].length ?? 0)) longest = entry
    if (longest === undefined) return
    const [by, queue] = longest
    waitingInAll -= 1
    queue.pop()?.(false)
    if (queue.length === 0) queues.delete(by)
  }
  const giveTurn = (by: string, queue: Waiter[]): void => {
    change(by, 1)
    waitingInAll -= 1
    queue.shift()?.(true)
    queues.delete(by)
    // Behind the others, who have their turns first.
    if (queue.length > 0) queues.set(by, queue)
  }

  return {
    async start(by) {
      if (hasRoom(by)) {
        change(by, 1)
        return true
      }
      return new Promise((resolve) => {
        const queue = queues.get(by) ?? []
        queue.push(resolve)
        queues.set(by, queue)
        waitingInAll += 1
        if (waitingInAll > maxWaiting) turnAway()
      })
    },
    end(by) {
      change(by, -1)
      for (const [next, queue] of queues) {
        if (!hasRoom(next)) continue
        giveTurn(next, queue)
        return
      }
    },
  }
}
