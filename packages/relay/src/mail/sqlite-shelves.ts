/** The rows of key shelves in the SQLite database of a mail store. */
import type { DatabaseSync } from 'node:sqlite'
import type { JsonObject, JsonValue, UserId } from '@plexus/core'
import { shelfDevices, shelfRecords, type SignedShelf } from '@plexus/core/names'
import { StoreError, type ShelfCounts, type ShelfKeys } from '@plexus/engine/ports'
import { MAX_SHELF_KEYS } from '@plexus/p2p/wire'
import { addedKeys, type NewStock } from './mail-store.ts'

/** One-time keys come before fallback keys, so the first row of a device is the one to give out. */
const Use = { oneTime: 0, fallback: 1, usedFallback: 2 } as const

/** Part of the schema of the mail store. */
export const SHELF_SCHEMA = `
  CREATE TABLE shelf (
    id INTEGER PRIMARY KEY, box INTEGER NOT NULL, user TEXT NOT NULL, record TEXT NOT NULL, UNIQUE (box, user));
  CREATE TABLE shelf_key (
    id INTEGER PRIMARY KEY, shelf INTEGER NOT NULL, device TEXT NOT NULL, use INTEGER NOT NULL, key TEXT NOT NULL);
  CREATE INDEX shelf_key_place ON shelf_key (shelf, device, use);`

/** Shelves of mailboxes, by the ids of their rows. */
export interface Shelves {
  /** As the port says, but for the room. */
  put(box: number, stock: Omit<NewStock, 'name'>): ShelfCounts | 'old' | 'quota'
  get(box: number, user: UserId): SignedShelf | undefined
  claim(box: number, claim: { user: UserId; device: string; mayTake: boolean }): JsonObject | undefined
  remove(box: number): void
  /** Of all shelves; fallback keys stay. */
  removeOneTimeKeys(): void
}

export function createShelves(database: DatabaseSync): Shelves {
  const select = database.prepare('SELECT id, record FROM shelf WHERE box = ? AND user = ?')
  const count = database.prepare('SELECT COUNT(*) AS count FROM shelf WHERE box = ?')
  const countKeys = database.prepare(
    `SELECT COUNT(*) AS count FROM shelf_key
      WHERE shelf IN (SELECT id FROM shelf WHERE box = ?) AND use = ${Use.oneTime}`,
  )
  const insert = database.prepare('INSERT INTO shelf (box, user, record) VALUES (?, ?, ?)')
  const update = database.prepare('UPDATE shelf SET record = ? WHERE id = ?')
  const removeKeys = database.prepare(
    'DELETE FROM shelf_key WHERE shelf IN (SELECT id FROM shelf WHERE box = ?)',
  )
  const removeShelves = database.prepare('DELETE FROM shelf WHERE box = ?')
  const keyDevices = database.prepare('SELECT DISTINCT device FROM shelf_key WHERE shelf = ?')
  const removeDevice = database.prepare('DELETE FROM shelf_key WHERE shelf = ? AND device = ?')
  const first = database.prepare(
    'SELECT id, use, key FROM shelf_key WHERE shelf = ? AND device = ? AND use >= ? ORDER BY use, id LIMIT 1',
  )
  const oneTime = database.prepare(
    `SELECT COUNT(*) AS count FROM shelf_key WHERE shelf = ? AND device = ? AND use = ${Use.oneTime}`,
  )
  const add = database.prepare('INSERT INTO shelf_key (shelf, device, use, key) VALUES (?, ?, ?, ?)')
  const take = database.prepare('DELETE FROM shelf_key WHERE id = ?')
  const markUsed = database.prepare(`UPDATE shelf_key SET use = ${Use.usedFallback} WHERE id = ?`)

  type Row = { id: number; record: string }
  type KeyRow = { id: number; use: number; key: string }
  const find = (box: number, user: UserId): Row | undefined => select.get(box, user) as Row | undefined
  const firstOf = (shelf: number, device: string, use: number): KeyRow | undefined =>
    first.get(shelf, device, use) as KeyRow | undefined
  const countOf = (shelf: number, device: string): number =>
    (oneTime.get(shelf, device) as { count: number }).count

  function addKeys(shelf: number, device: string, { add: fresh, fallback }: ShelfKeys[string]): void {
    const room = Math.max(0, MAX_SHELF_KEYS - countOf(shelf, device))
    for (const key of fresh.slice(0, room)) add.run(shelf, device, Use.oneTime, JSON.stringify(key))
    if (fallback === undefined) return
    const text = JSON.stringify(fallback)
    const before = firstOf(shelf, device, Use.fallback)
    if (before?.key === text) return
    if (before !== undefined) take.run(before.id)
    add.run(shelf, device, Use.fallback, text)
  }

  return {
    put(box, { shelf: signed, keys, maxShelves, maxKeys }) {
      const { user } = signed.record
      const text = JSON.stringify(shelfRecords.json(signed))
      const known = find(box, user)
      const fresh = addedKeys(keys)
      if (fresh > 0 && (countKeys.get(box) as { count: number }).count + fresh > maxKeys) return 'quota'
      if (known === undefined) {
        if ((count.get(box) as { count: number }).count >= maxShelves) return 'quota'
        insert.run(box, user, text)
      } else if (known.record !== text) {
        if (!shelfRecords.isNewer(signed.record, shelfIn(known.record).record)) return 'old'
        update.run(text, known.id)
      }
      const { id } = find(box, user) as Row
      const devices = shelfDevices(signed.record)
      for (const { device } of keyDevices.all(id) as { device: string }[])
        if (!devices.includes(device)) removeDevice.run(id, device)
      const left = devices.map((device) => {
        const stock = Object.hasOwn(keys, device) ? keys[device] : undefined
        if (stock !== undefined) addKeys(id, device, stock)
        const fallbackUsed = firstOf(id, device, Use.fallback)?.use === Use.usedFallback
        return [device, { left: countOf(id, device), fallbackUsed }] as const
      })
      return Object.fromEntries(left)
    },
    get(box, user) {
      const row = find(box, user)
      return row === undefined ? undefined : shelfIn(row.record)
    },
    claim(box, { user, device, mayTake }) {
      const shelf = find(box, user)
      const row = shelf && firstOf(shelf.id, device, mayTake ? Use.oneTime : Use.fallback)
      if (row === undefined) return undefined
      if (row.use === Use.oneTime) take.run(row.id)
      else if (row.use === Use.fallback) markUsed.run(row.id)
      return JSON.parse(row.key) as JsonObject
    },
    remove(box) {
      removeKeys.run(box)
      removeShelves.run(box)
    },
    removeOneTimeKeys() {
      database.exec(`DELETE FROM shelf_key WHERE use = ${Use.oneTime}`)
    },
  }
}

function shelfIn(text: string): SignedShelf {
  const shelf = shelfRecords.parse(JSON.parse(text) as JsonValue)
  if (shelf === undefined) throw new StoreError('failed', 'a key shelf is damaged')
  return shelf
}
