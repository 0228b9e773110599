/**
 * The Store port in memory, for tests and simulations: several owners can open one disk, one after the other takes
 * over, and a disk can fail a commit, lose its process, or lose power.
 */
import { StoreError } from '@plexus/engine/ports'
import type { Durability, Store, Write } from '@plexus/engine/ports'
import { EPOCH_KEY, logicalWrite, SCHEMA_KEY } from './layout.ts'
import type { PhysicalWrite } from './layout.ts'
import type { Migration, OpenOptions } from './migrations.ts'
import { fencedError, openStore, takeOver } from './physical.ts'
import type { Physical } from './physical.ts'
import { createSortedMap } from './sorted-map.ts'
import type { SortedMap } from './sorted-map.ts'

/** `crash-before` and `crash-after` kill all owners, with nothing or all of the commit applied. */
export type Fault = 'none' | 'full' | 'failed' | 'crash-before' | 'crash-after'

export type CommitAttempt = {
  /** Counts these attempts from 0, over all owners of the disk. */
  readonly number: number
  readonly writes: readonly Write[]
  readonly durability: Durability
}

export type MemoryDiskInit = {
  /** Asked before each commit to a map by the current owner. May take its time: the commits of one owner wait for each other. */
  readonly fault?: (attempt: CommitAttempt) => Fault | Promise<Fault>
  /** Keeps what `cutPower` needs; costs memory until the next strict commit. */
  readonly losesPower?: boolean
}

export interface MemoryDisk {
  /** As SIGKILL: every open store is closed for good; all commits are kept. */
  kill(): void
  /**
   * As pulling the plug: every open store is closed for good, and of the relaxed commits after the last strict one only
   * the first `kept` (default none) are kept. Needs `losesPower`.
   */
  cutPower(kept?: number): void
  /** The number of relaxed commits that a power cut could lose. */
  readonly unflushed: number
  /** Takes the next epoch. @throws SchemaError */
  connect(migrations: readonly Migration[]): Physical
  /** A disk of its own with all that is on this one, as a copy of its files. */
  copy(): MemoryDisk
}

/** Takes over the disk from whoever has it open. */
export async function openMemoryStore(disk: MemoryDisk, options: OpenOptions = {}): Promise<Store> {
  options.signal?.throwIfAborted()
  const migrations = options.migrations ?? []
  return openStore(disk.connect(migrations), migrations)
}

/** A store on a disk of its own. */
export function createMemoryStore(): Promise<Store> {
  return openMemoryStore(createMemoryDisk())
}

export function createMemoryDisk(init: MemoryDiskInit = {}): MemoryDisk {
  return createDisk(createSortedMap(), init)
}

function createDisk(entries: SortedMap, { fault, losesPower = false }: MemoryDiskInit): MemoryDisk {
  /** Per relaxed commit that is not flushed: the values before it. */
  let undo: PhysicalWrite[][] = []
  let lives = 0
  let attempts = 0
  const write = ({ key, value }: PhysicalWrite): void => {
    if (value === undefined) entries.delete(key)
    else entries.set(key, value)
  }
  const kill = (): void => {
    lives += 1
  }
  const medium: Medium = {
    entries,
    kill,
    life: () => lives,
    apply(writes, durability) {
      if (durability === 'strict') undo = []
      else if (losesPower) undo.push(writes.map(({ key }) => ({ key, value: entries.get(key) })))
      for (const each of writes) write(each)
    },
    async attempt(writes, durability) {
      if (fault === undefined) return 'none'
      const logical = writes.map(logicalWrite).filter((each) => each !== undefined)
      if (logical.length === 0) return 'none'
      const number = attempts
      attempts += 1
      return fault({ number, writes: logical, durability })
    },
  }
  return {
    kill,
    cutPower(kept = 0) {
      if (!losesPower) throw new TypeError('this disk was made without losesPower')
      kill()
      for (const before of undo.slice(kept).toReversed()) {
        for (const each of before.toReversed()) write(each)
      }
      undo = []
    },
    get unflushed() {
      return undo.length
    },
    connect: (migrations) => createOwner(medium, migrations),
    copy() {
      const copied = createSortedMap()
      for (const [key, value] of entries.range('', '\uffff', undefined, false)) copied.set(key, value)
      return createDisk(copied, {})
    },
  }
}

type Medium = {
  readonly entries: SortedMap
  readonly kill: () => void
  /** Changes when the process is killed. */
  readonly life: () => number
  readonly apply: (writes: readonly PhysicalWrite[], durability: Durability) => void
  readonly attempt: (writes: readonly PhysicalWrite[], durability: Durability) => Promise<Fault>
}

function createOwner(medium: Medium, migrations: readonly Migration[]): Physical {
  const { entries } = medium
  const found = { epoch: entries.get(EPOCH_KEY), schema: entries.get(SCHEMA_KEY) }
  const { epoch, writes: owning } = takeOver(found, migrations)
  medium.apply(owning, 'strict')
  const life = medium.life()
  let queue: Promise<void> = Promise.resolve()
  const checkAlive = (): void => {
    if (life !== medium.life()) throw new StoreError('closed', 'the process of this store was killed')
  }
  const checkOwner = (): void => {
    checkAlive()
    if (entries.get(EPOCH_KEY) !== epoch) throw fencedError()
  }
  const commit = async (writes: readonly PhysicalWrite[], durability: Durability): Promise<void> => {
    checkOwner()
    const outcome = await medium.attempt(writes, durability)
    checkOwner()
    if (outcome === 'full' || outcome === 'failed') {
      throw new StoreError(outcome, `injected fault: ${outcome}`)
    }
    if (outcome !== 'crash-before') medium.apply(writes, durability)
    if (outcome !== 'none') medium.kill()
    checkAlive()
  }
  return {
    async getMany(keys) {
      checkAlive()
      return keys.map((key) => entries.get(key))
    },
    async range(lo, hi, limit, reverse) {
      checkAlive()
      return entries.range(lo, hi, limit, reverse)
    },
    commit(writes, durability) {
      const done = queue.then(() => commit(writes, durability))
      queue = done.catch(() => undefined)
      return done
    },
    close: () => queue,
  }
}
