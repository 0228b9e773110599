/** A loopback with the weather of a real network: latency, loss, duplication, reordering and partitions, by chance of a seed. */
import type { ServerName } from '@plexus/core'
import type { Clock } from '@plexus/engine/ports'
import { createLoopback, type Fate, type Loopback, type Sent } from './loopback.ts'
import type { SeededRandom } from './seeded-random.ts'

/** Probabilities of each request, and what its way there and back takes at most. */
export type Weather = {
  readonly loss: number
  readonly duplication: number
  /** Different latencies are what reorders. */
  readonly maxLatencyMs: number
}

export const CALM: Weather = { loss: 0, duplication: 0, maxLatencyMs: 50 }

export interface SimulatedNetwork {
  readonly loopback: Loopback
  weather: Weather
  /** Decides on a request before the weather does. */
  sabotage: ((sent: Sent) => Fate | undefined) | undefined
  /** Only nodes of the same group reach each other. */
  partition(groups: readonly (readonly ServerName[])[]): void
  heal(): void
}

export function createSimulatedNetwork(clock: Clock, random: SeededRandom): SimulatedNetwork {
  const loopback = createLoopback({ clock })
  let cuts: (readonly [ServerName, ServerName])[] = []

  const heal = (): void => {
    for (const [one, other] of cuts) loopback.cut(one, other, false)
    cuts = []
  }

  const network: SimulatedNetwork = {
    loopback,
    weather: CALM,
    sabotage: undefined,
    partition(groups) {
      heal()
      for (const [index, group] of groups.entries()) {
        for (const other of groups.slice(index + 1).flat()) {
          for (const one of group) cuts.push([one, other])
        }
      }
      for (const [one, other] of cuts) loopback.cut(one, other)
    },
    heal,
  }
  loopback.decideFate((sent) => {
    const { loss, duplication, maxLatencyMs } = network.weather
    // Drawn in any case, so that a change of the weather moves nothing else.
    const delayMs = random.below(maxLatencyMs + 1)
    const answerDelayMs = random.below(maxLatencyMs + 1)
    const isLost = random.chance(loss)
    const lose = random.chance(0.5) ? 'request' : 'answer'
    const twice = random.chance(duplication)
    return network.sabotage?.(sent) ?? { delayMs, answerDelayMs, twice, ...(isLost ? { lose } : {}) }
  })
  return network
}
