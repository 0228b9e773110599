/** A loopback with the weather of a real network: latency, loss, duplication, reordering and partitions, by chance of a seed. */
import type { ServerName } from '@plexus/core'
import { createLoopback, type Fate, type Loopback, type LoopbackDeps, type Sent } from './loopback.ts'
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

export function createSimulatedNetwork(deps: LoopbackDeps, random: SeededRandom): SimulatedNetwork {
  const loopback = createLoopback(deps)
  const network: SimulatedNetwork = {
    loopback,
    weather: CALM,
    sabotage: undefined,
    partition(groups) {
      const numbered = groups.flatMap((names, index) => names.map((name) => [name, index] as const))
      loopback.partition(new Map(numbered))
    },
    heal: () => loopback.partition(new Map()),
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
