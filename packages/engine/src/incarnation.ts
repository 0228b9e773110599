/**
 * Which store this is: a copy from an earlier time that was put in its place goes on as a new one to others, and so does one whose
 * account ran on another device meanwhile. DESIGN section 5
 */
import { encodeBase64Url } from '@plexus/core'
import type { Committer } from './kernel/committer.ts'
import { table, type Table } from './kernel/table.ts'
import type { Clock, Log, Place, Random, Store, Write } from './ports.ts'
import { keyCounts, listChanges, listLatest, oneTimeKeys, remoteLists } from './users/tables.ts'

/** Length of an incarnation in bytes. */
const INCARNATION_BYTES = 16

const meta: Table<readonly [string], string> = table('meta', ['s'])

/**
 * Of this store alone: a copy from an earlier time makes its own, or it would number anew what others have already. `isBack`: the
 * account is taken back from another device, which got what others told since.
 */
export async function loadIncarnation(
  deps: {
    readonly store: Store
    readonly committer: Committer
    readonly clock: Clock
    readonly random: Random
    readonly log: Log
  },
  place: Place | undefined,
  isBack: boolean,
): Promise<string> {
  const { store, committer, clock, random, log } = deps
  const [known, last] = await meta.getMany(store, [['incarnation'], ['place']])
  const isCopy = isBack || (last !== undefined && place !== undefined && last !== place.before)
  if (isCopy) log.log('warn', 'the store is behind what others know: it goes on as a new one to them')
  const incarnation = known === undefined || isCopy ? encodeBase64Url(random.bytes(INCARNATION_BYTES)) : known
  const rows = [meta.put(['incarnation'], incarnation)]
  if (place !== undefined) rows.push(meta.put(['place'], place.now))
  const outdated = isCopy ? await outdatedKeys(store) : () => []
  // Clients have tokens of later than the copy, which must not stand for what comes from here on.
  const positions = isCopy ? Math.max(1, clock.now() - committer.committed) : 1
  if (incarnation !== known || place !== undefined)
    await committer.submit({
      durability: 'strict',
      positions,
      writes: (position) => [...rows, ...outdated(position + positions - 1)],
    })
  return incarnation
}

/**
 * The writes after which a copy goes by none of the keys that may have changed since: its one-time keys may have been given out, here
 * or to relays, and clients bring others; the device lists of others are asked for again, also by clients that are as old.
 */
async function outdatedKeys(store: Store): Promise<(position: number) => readonly Write[]> {
  const keys = await oneTimeKeys.list(store, [])
  const counts = await keyCounts.list(store, [])
  const lists = await remoteLists.list(store, [])
  const changes = await listLatest.getMany(
    store,
    lists.map(([[userId]]) => [userId, ''] as const),
  )
  return (position) => [
    ...keys.map(([key]) => oneTimeKeys.delete(key)),
    ...counts.map(([key, row]) => {
      const none = Object.keys(row.oneTimeKeys).map((algorithm) => [algorithm, 0] as const)
      return keyCounts.put(key, { oneTimeKeys: Object.fromEntries(none), position })
    }),
    ...lists.flatMap(([[userId], row], index) => {
      const before = changes[index]
      return [
        remoteLists.put([userId], { ...row, stale: true }),
        ...(before === undefined ? [] : [listChanges.delete([before, userId, ''])]),
        listChanges.put([position, userId, ''], 1),
        listLatest.put([userId, ''], position),
      ]
    }),
  ]
}
