/** Changes of what the engine keeps, oldest first; the list only ever grows. Handed to the store when it is opened. */
import type { EventId, UserId } from '@plexus/core'
import { authEventIds } from '@plexus/core'
import { table, type Table } from './kernel/table.ts'
import { seenShelves } from './mail/tables.ts'
import type { Store, Write } from './ports.ts'
import { generationOf, newEventWrites } from './rooms/auth-graph.ts'
import { events } from './rooms/records.ts'
import type { EventRecord } from './rooms/types.ts'

export type EngineMigration = {
  readonly name: string
  readonly up: (store: Pick<Store, 'get' | 'getMany' | 'range'>) => Promise<readonly Write[]>
}

export const MIGRATIONS: readonly EngineMigration[] = [
  { name: 'auth graph', up: addAuthGraph },
  { name: 'seen shelves', up: addExpiryOfSeen },
]

/** Gives every event its generation, and every state event its place among the children of its auth events. */
async function addAuthGraph(store: Pick<Store, 'get' | 'getMany' | 'range'>): Promise<readonly Write[]> {
  const records = new Map<EventId, Omit<EventRecord, 'generation'>>()
  for (const [[id], record] of await events.list(store, [])) records.set(id, record)
  const generations = new Map<EventId, number>()
  const isOpen = (id: EventId): boolean => records.has(id) && !generations.has(id)
  // What was entered and is open is on the way there: a cycle, which is not followed.
  const entered = new Set<EventId>()
  const writes: Write[] = []
  for (const start of records.keys()) {
    const stack = [start]
    for (let id = stack.at(-1); id !== undefined; id = stack.at(-1)) {
      const record = records.get(id)
      entered.add(id)
      const parents = record === undefined || !isOpen(id) ? [] : authEventIds(record.pdu)
      const below = parents.filter((parent) => isOpen(parent) && !entered.has(parent))
      stack.push(...below)
      if (below.length > 0) continue
      stack.pop()
      if (record === undefined || !isOpen(id)) continue
      const generation = generationOf(record.pdu, (parent) => generations.get(parent) ?? 0)
      generations.set(id, generation)
      writes.push(...newEventWrites({ ...record, generation }))
    }
  }
  return writes
}

/** Of the shelves that were seen the sequence alone was kept; who has one of these is forgotten first. */
async function addExpiryOfSeen(store: Parameters<EngineMigration['up']>[0]): Promise<readonly Write[]> {
  const before: Table<readonly [UserId], number> = table('key-shelf-seen', ['s'])
  return (await before.list(store, [])).map(([key, sequence]) =>
    seenShelves.put(key, { sequence, expires: 0 }),
  )
}
