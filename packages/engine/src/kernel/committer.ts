/**
 * The one committer of a store: changes that are ready while a commit is under way form the next commit together
 * (group commit), and each change gets its stream position when its commit is assembled.
 *
 * Invariants:
 * 1. Positions rise in commit order; `committed` is the last position whose commit returned, and a reader that looks
 *    at nothing above it sees every position below.
 * 2. A change is published after its commit and in order; nothing is published that is not committed.
 * 3. A failed commit takes all that was pending with it, since that may have been decided on top of it; whoever holds
 *    copies drops them in `onFailure`, and submits nothing that was decided on them: `failures` tells. A fenced or
 *    closed store fails every later change too.
 */
import type { Durability, Store, Write } from '../ports.ts'
import { StoreError } from '../ports.ts'
import type { Table } from './table.ts'
import { table } from './table.ts'

/** A place in the one stream that all of a node's changes share; `/sync` tokens are made of it. */
export type StreamPosition = number

export type Change = {
  /** How many consecutive positions the change takes, 1 by default. */
  readonly positions?: number
  /** Called once, synchronously, when the commit is assembled, with the first position. Must not throw. */
  readonly writes: (position: StreamPosition) => readonly Write[]
  /** Called after the commit, in order, with the first position. Must not throw. */
  readonly publish?: (position: StreamPosition) => void
  readonly durability?: Durability
}

/** Several changes as one: all are committed or none. */
export function combineChanges(changes: readonly Change[]): Change {
  const sizes = changes.map(({ positions }) => positions ?? 1)
  const starts = sizes.map((_, index) => sizes.slice(0, index).reduce((sum, size) => sum + size, 0))
  return {
    positions: sizes.reduce((sum, size) => sum + size, 0),
    writes: (position) => changes.flatMap(({ writes }, index) => writes(position + (starts[index] ?? 0))),
    publish: (position) =>
      changes.forEach(({ publish }, index) => publish?.(position + (starts[index] ?? 0))),
    durability: changes.some(({ durability }) => durability === 'strict') ? 'strict' : 'relaxed',
  }
}

export type CommitListener = (position: StreamPosition, maps: ReadonlySet<string>) => void

export interface Committer {
  /** Resolves with the first position when the change is committed and published. @throws StoreError when it failed. */
  submit(change: Change): Promise<StreamPosition>
  /** The last committed position, 0 at first. */
  readonly committed: StreamPosition
  /** Commits that failed. What was decided when it was lower may rest on what is not there. */
  readonly failures: number
  /** Calls back after each commit was published, with the names of the maps that it wrote to. */
  onCommit(listener: CommitListener): () => void
  /** Calls back when a commit failed, before the changes of it are rejected. */
  onFailure(listener: (error: StoreError) => void): () => void
  /** Waits for all that was submitted. */
  idle(): Promise<void>
}

/** Writes of one commit: bounds its duration, so that a small change is not stuck behind a huge one. */
export const MAX_COMMIT_WRITES = 4_000

const streamTable: Table<readonly [string], number> = table('stream', ['s'])

type Pending = {
  readonly change: Change
  readonly resolve: (position: StreamPosition) => void
  readonly reject: (error: unknown) => void
}

/**
 * `turn` resolves when what is ready to run has run: a store that commits at once, as SQLite does, would else never see
 * two changes in one commit.
 */
export async function createCommitter(
  store: Store,
  turn: () => Promise<void> = () => Promise.resolve(),
): Promise<Committer> {
  let committed = (await streamTable.get(store, ['position'])) ?? 0
  let pending: Pending[] = []
  let running: Promise<void> | undefined
  let final: StoreError | undefined
  let failures = 0
  const listeners = new Set<CommitListener>()
  const failureListeners = new Set<(error: StoreError) => void>()

  const takeBatch = (): {
    batch: Pending[]
    writes: Write[]
    durability: Durability
    last: StreamPosition
  } => {
    const writes: Write[] = []
    let durability: Durability = 'relaxed'
    let last = committed
    let taken = 0
    for (const { change } of pending) {
      if (taken > 0 && writes.length >= MAX_COMMIT_WRITES) break
      for (const write of change.writes(last + 1)) writes.push(write)
      last += change.positions ?? 1
      if (change.durability === 'strict') durability = 'strict'
      taken += 1
    }
    const batch = pending.slice(0, taken)
    pending = pending.slice(taken)
    writes.push(streamTable.put(['position'], last))
    return { batch, writes, durability, last }
  }

  const fail = (lost: readonly Pending[], cause: unknown): void => {
    const error = cause instanceof StoreError ? cause : new StoreError('failed', 'commit failed', { cause })
    if (error.code === 'fenced' || error.code === 'closed') final = error
    failures += 1
    pending = []
    for (const listener of failureListeners) listener(error)
    for (const { reject } of lost) reject(error)
  }

  const publish = (batch: readonly Pending[], writes: readonly Write[], last: StreamPosition): void => {
    let next = committed + 1
    committed = last
    for (const { change, resolve } of batch) {
      change.publish?.(next)
      resolve(next)
      next += change.positions ?? 1
    }
    const maps = new Set(writes.map(({ map }) => map))
    for (const listener of listeners) listener(committed, maps)
  }

  const commitNext = async (): Promise<void> => {
    let lost = pending
    try {
      const { batch, writes, durability, last } = takeBatch()
      lost = batch
      await store.commit(writes, durability)
      publish(batch, writes, last)
    } catch (cause) {
      // A change that throws is a fault, after which no copy can be trusted: it counts as a failed commit.
      fail([...new Set([...lost, ...pending])], cause)
    }
  }

  const run = async (): Promise<void> => {
    while (pending.length > 0) {
      // Changes that became ready together share a commit.
      await turn()
      await commitNext()
    }
    running = undefined
  }

  return {
    submit(change) {
      if (final !== undefined) return Promise.reject(final)
      const result = new Promise<StreamPosition>((resolve, reject) => {
        pending.push({ change, resolve, reject })
      })
      running ??= run()
      return result
    },
    get committed() {
      return committed
    },
    get failures() {
      return failures
    },
    onCommit(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    onFailure(listener) {
      failureListeners.add(listener)
      return () => failureListeners.delete(listener)
    },
    async idle() {
      while (running !== undefined) await running
    },
  }
}
