/**
 * Remembers ids for about a week, with a value each, so that what comes twice is answered as before and done once.
 *
 * Rows stand in generations: a new one starts every day, or when one is full; the oldest is dropped. So memory is
 * bounded whatever comes from outside, and an id is known for at least (GENERATIONS - 1) generations.
 */
import type { Committer } from '../kernel/committer.ts'
import { createLru } from '../kernel/lru.ts'
import { table } from '../kernel/table.ts'
import type { Table } from '../kernel/table.ts'
import type { Clock, Log, Store, Write } from '../ports.ts'

export const GENERATIONS = 8
export const GENERATION_MS: number = 24 * 60 * 60 * 1000
const MAX_IDS_PER_GENERATION = 100_000
/** Ids of this process that a second, concurrent use is checked against. */
const MAX_CONCURRENT_IDS = 20_000
const SWEEP_ROWS = 1_000

export interface RecentIds<Value> {
  /** The value of an id whose commit returned. */
  get(scope: string, id: string): Promise<Value | undefined>
  /** In the order of `ids`. */
  getMany(scope: string, ids: readonly string[]): Promise<readonly (Value | undefined)[]>
  /**
   * The writes that remember an id, or `undefined` when a commit since `get` already has it. To be called only after
   * `get`, and while a commit is assembled.
   */
  claim(scope: string, id: string, value: Value): readonly Write[] | undefined
}

type State = { generation: number; startedAt: number; count: number }

export function createRecentIds<Value>(
  deps: { store: Store; committer: Committer; clock: Clock; log: Log },
  name: string,
  maxPerGeneration: number = MAX_IDS_PER_GENERATION,
): RecentIds<Value> {
  const { store, committer, clock, log } = deps
  const rows: Table<readonly [number, string, string], Value> = table(`${name}_ids`, ['n', 's', 's'])
  const states: Table<readonly [string], State> = table(`${name}_generation`, ['s'])
  const state: State = { generation: 0, startedAt: clock.now(), count: 0 }
  let loading: Promise<void> | undefined
  const load = (): Promise<void> => {
    loading ??= states.get(store, ['current']).then(
      (stored) => {
        if (stored !== undefined) Object.assign(state, stored)
      },
      (error: unknown) => {
        loading = undefined
        throw error
      },
    )
    return loading
  }
  const known = createLru<string, 'pending' | 'committed'>(MAX_CONCURRENT_IDS)
  let pending: string[] = []
  committer.onCommit(() => {
    for (const key of pending) known.set(key, 'committed')
    pending = []
  })
  committer.onFailure(() => {
    for (const key of pending) known.delete(key)
    pending = []
  })

  const sweep = async (oldest: number): Promise<void> => {
    for (;;) {
      const old = await rows.range(store, [], 0, oldest, { limit: SWEEP_ROWS })
      if (old.length === 0) return
      await committer.submit({ writes: () => old.map(([key]) => rows.delete(key)) })
    }
  }

  const rotate = (): void => {
    state.generation += 1
    state.startedAt = clock.now()
    state.count = 0
    sweep(Math.max(0, state.generation - GENERATIONS + 1)).catch((error: unknown) => {
      log.log('warn', 'old ids could not be dropped', { name, error: String(error) })
    })
  }

  const getMany = async (scope: string, ids: readonly string[]): Promise<readonly (Value | undefined)[]> => {
    await load()
    const generations = Array.from({ length: GENERATIONS }, (_, back) => state.generation - back).filter(
      (generation) => generation >= 0,
    )
    const found = await rows.getMany(
      store,
      ids.flatMap((id) => generations.map((generation) => [generation, scope, id] as const)),
    )
    return ids.map((_, index) =>
      found
        .slice(index * generations.length, (index + 1) * generations.length)
        .find((row) => row !== undefined),
    )
  }

  return {
    async get(scope, id) {
      return (await getMany(scope, [id]))[0]
    },
    getMany,
    claim(scope, id, value) {
      const key = JSON.stringify([scope, id])
      if (known.get(key) !== undefined) return undefined
      known.set(key, 'pending')
      pending.push(key)
      if (state.count >= maxPerGeneration || clock.now() - state.startedAt >= GENERATION_MS) rotate()
      state.count += 1
      return [rows.put([state.generation, scope, id], value), states.put(['current'], state)]
    },
  }
}
