/** Chance that a seed repeats. */
import type { Random } from '@plexus/engine/ports'

export interface SeededRandom extends Random {
  /** An integer from 0 to below `bound`. */
  below(bound: number): number
  /** True with the given probability. */
  chance(probability: number): boolean
}

/** xorshift128 with a state spread from the seed by splitmix32; not for secrets outside of tests. */
export function createSeededRandom(seed: number): SeededRandom {
  let spread = seed >>> 0
  const splitmix = (): number => {
    spread = (spread + 0x9e3779b9) >>> 0
    let z = spread
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return (z ^ (z >>> 16)) >>> 0
  }
  let [a, b, c, d] = [splitmix(), splitmix(), splitmix(), splitmix() | 1]
  const next = (): number => {
    const t = a ^ (a << 11)
    a = b
    b = c
    c = d
    d = (d ^ (d >>> 19) ^ t ^ (t >>> 8)) >>> 0
    return d
  }
  return {
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
    below: (bound) => next() % bound,
    chance: (probability) => next() / 2 ** 32 < probability,
  }
}
