/** Server-side key backups. spec: client-server-api/modules/end_to_end_encryption.md "Server-side key backups" */
import { ownValue } from '@plexus/core'
import type { JsonObject, UserId } from '@plexus/core'
import type { Write } from '../ports.ts'
import type { UsersContext } from './deps.ts'
import { sameJson } from './local-keys.ts'
import { integerAt, jsonSize } from './read.ts'
import { backupKeys, backups } from './tables.ts'
import type { BackupRow } from './tables.ts'
import { UserError } from './types.ts'
import type { BackupScope, BackupVersion, KeyBackups } from './types.ts'

/** JSON text of one session's key data or of a version's auth data, in UTF-16 code units. */
const MAX_BACKUP_OBJECT_LENGTH = 65_536
/** Of room and session ids, in UTF-16 code units. */
const MAX_BACKUP_ID_LENGTH = 255
/** Sessions in one backup. */
const MAX_BACKUP_KEYS = 1_000_000
/** Sessions in one request. */
const MAX_BACKUP_BATCH = 10_000
/** Versions that are not deleted. */
const MAX_BACKUP_VERSIONS = 50

type Row = readonly [version: number, row: BackupRow]

export function createKeyBackups(context: UsersContext): KeyBackups {
  const { store, committer, mutex } = context
  const lock = <T>(userId: UserId, work: () => Promise<T>): Promise<T> => mutex.run(`backups ${userId}`, work)

  const all = async (userId: UserId): Promise<readonly Row[]> =>
    (await backups.list(store, [userId])).map(([[, version], row]) => [version, row])

  const newest = async (userId: UserId): Promise<Row | undefined> =>
    (await all(userId)).findLast(([, row]) => row.deleted !== true)

  const find = async (userId: UserId, version: string): Promise<Row> => {
    const number = /^[0-9]{1,15}$/.test(version) ? Number(version) : undefined
    const row = number === undefined ? undefined : await backups.get(store, [userId, number])
    if (number === undefined || row === undefined || row.deleted === true) {
      throw new UserError('M_NOT_FOUND', 'Unknown backup version')
    }
    return [number, row]
  }

  const rowsIn = (
    userId: UserId,
    version: number,
    { roomId, sessionId }: BackupScope,
  ): ReturnType<typeof backupKeys.list> =>
    backupKeys.list(store, [
      userId,
      version,
      ...(roomId === undefined ? [] : [roomId, ...(sessionId === undefined ? [] : [sessionId])]),
    ])

  return {
    createVersion: (userId, algorithm, authData) =>
      lock(userId, async () => {
        checkSize(authData)
        const rows = await all(userId)
        if (rows.filter(([, row]) => row.deleted !== true).length >= MAX_BACKUP_VERSIONS) {
          throw new UserError('M_LIMIT_EXCEEDED', `at most ${MAX_BACKUP_VERSIONS} backups; delete one first`)
        }
        const version = (rows.at(-1)?.[0] ?? 0) + 1
        const row: BackupRow = { algorithm, authData, etag: 0, count: 0 }
        await committer.submit({ writes: () => [backups.put([userId, version], row)], durability: 'strict' })
        return String(version)
      }),
    async version(userId, version) {
      const row = version === undefined ? await newest(userId) : await find(userId, version)
      if (row === undefined) throw new UserError('M_NOT_FOUND', 'No current backup version')
      return toVersion(row)
    },
    updateVersion: (userId, version, algorithm, authData) =>
      lock(userId, async () => {
        checkSize(authData)
        const [number, row] = await find(userId, version)
        if (row.algorithm !== algorithm)
          throw new UserError('M_INVALID_PARAM', 'the algorithm cannot be changed')
        await committer.submit({ writes: () => [backups.put([userId, number], { ...row, authData })] })
      }),
    deleteVersion: (userId, version) =>
      lock(userId, async () => {
        const [number, row] = await find(userId, version)
        const keys = await rowsIn(userId, number, {})
        // The number stays taken, so that no later backup is mistaken for this one.
        const gone: BackupRow = { ...row, authData: {}, count: 0, deleted: true }
        await committer.submit({
          writes: () => [...keys.map(([key]) => backupKeys.delete(key)), backups.put([userId, number], gone)],
        })
      }),
    putKeys: (userId, version, rooms) =>
      lock(userId, async () => {
        const [number, row] = await find(userId, version)
        const current = await newest(userId)
        if (current?.[0] !== number) {
          throw new UserError('M_WRONG_ROOM_KEYS_VERSION', 'Wrong backup version.')
        }
        const sessions = Object.entries(rooms).flatMap(([roomId, ofRoom]) =>
          Object.entries(ofRoom).map(([sessionId, data]) => ({ roomId, sessionId, data })),
        )
        if (sessions.length > MAX_BACKUP_BATCH) {
          throw new UserError('M_TOO_LARGE', `at most ${MAX_BACKUP_BATCH} sessions in one request`)
        }
        for (const { roomId, sessionId, data } of sessions) {
          checkSize(data)
          if (Math.max(roomId.length, sessionId.length) > MAX_BACKUP_ID_LENGTH) {
            throw new UserError('M_INVALID_PARAM', 'a room or session id is too long')
          }
        }
        const keys = sessions.map(({ roomId, sessionId }) => [userId, number, roomId, sessionId] as const)
        const held = await backupKeys.getMany(store, keys)
        const writes: Write[] = []
        let added = 0
        sessions.forEach(({ data }, index) => {
          const key = keys[index]
          const before = held[index]
          if (key === undefined || (before !== undefined && !isBetter(data, before))) return
          writes.push(backupKeys.put(key, data))
          if (before === undefined) added += 1
        })
        if (row.count + added > MAX_BACKUP_KEYS) throw new UserError('M_TOO_LARGE', 'the backup is full')
        return toCount(await change(userId, number, row, writes, added))
      }),
    async keys(userId, version, scope) {
      const [number] = await find(userId, version)
      const rooms = new Map<string, [string, JsonObject][]>()
      for (const [[, , roomId, sessionId], data] of await rowsIn(userId, number, scope)) {
        const ofRoom = rooms.get(roomId) ?? []
        ofRoom.push([sessionId, data])
        rooms.set(roomId, ofRoom)
      }
      return Object.fromEntries([...rooms].map(([roomId, ofRoom]) => [roomId, Object.fromEntries(ofRoom)]))
    },
    deleteKeys: (userId, version, scope) =>
      lock(userId, async () => {
        const [number, row] = await find(userId, version)
        const keys = await rowsIn(userId, number, scope)
        const writes = keys.map(([key]) => backupKeys.delete(key))
        return toCount(await change(userId, number, row, writes, -keys.length))
      }),
  }

  async function change(
    userId: UserId,
    version: number,
    row: BackupRow,
    writes: readonly Write[],
    added: number,
  ): Promise<BackupRow> {
    if (writes.length === 0) return row
    const after: BackupRow = { ...row, etag: row.etag + 1, count: row.count + added }
    await committer.submit({
      writes: () => [...writes, backups.put([userId, version], after)],
      durability: 'strict',
    })
    return after
  }
}

function checkSize(object: JsonObject): void {
  if (jsonSize(object) > MAX_BACKUP_OBJECT_LENGTH)
    throw new UserError('M_TOO_LARGE', 'the object is too large')
}

function toVersion([version, { algorithm, authData, etag, count }]: Row): BackupVersion {
  return { algorithm, auth_data: authData, version: String(version), etag: String(etag), count }
}

function toCount({ etag, count }: BackupRow): { readonly etag: string; readonly count: number } {
  return { etag: String(etag), count }
}

/** Whether a session's new key data replaces the old: verified first, then the earlier index, then fewer forwards. */
function isBetter(fresh: JsonObject, old: JsonObject): boolean {
  if (sameJson(fresh, old)) return false
  const verified = ownValue(fresh, 'is_verified') === true
  if (verified !== (ownValue(old, 'is_verified') === true)) return verified
  const index = (integerAt(fresh, 'first_message_index') ?? 0) - (integerAt(old, 'first_message_index') ?? 0)
  if (index !== 0) return index < 0
  return (integerAt(fresh, 'forwarded_count') ?? 0) < (integerAt(old, 'forwarded_count') ?? 0)
}
