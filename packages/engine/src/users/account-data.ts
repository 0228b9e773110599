/** Account data, global and per room. spec: client-server-api/modules/account_data.md */
import type { JsonObject, RoomId, UserId } from '@plexus/core'
import type { StreamPosition } from '../kernel/committer.ts'
import type { Write } from '../ports.ts'
import type { UsersContext } from './deps.ts'
import { jsonSize } from './read.ts'
import { accountData, accountDataStream } from './tables.ts'
import { UserError } from './types.ts'
import type { AccountData, AccountDataEntry } from './types.ts'

/** JSON text of one entry, in UTF-16 code units. */
export const MAX_ACCOUNT_DATA_LENGTH: number = 512 * 1024
/** Entries of one user, in all rooms together. */
export const MAX_ACCOUNT_DATA_ENTRIES = 20_000
export const MAX_ACCOUNT_DATA_TYPE_LENGTH = 255

export function createAccountData(context: UsersContext): AccountData {
  const { store, committer, mutex } = context

  type Update = (...args: Parameters<AccountData['update']>) => Promise<StreamPosition | undefined>

  const update: Update = (userId, roomId, type, change) =>
    mutex.run(`account-data ${userId}`, async () => {
      const key = [userId, roomId ?? '', type] as const
      const before = await accountData.get(store, key)
      const content = change(before?.content)
      if (content === undefined) return undefined
      if (jsonSize(content) > MAX_ACCOUNT_DATA_LENGTH || type.length > MAX_ACCOUNT_DATA_TYPE_LENGTH) {
        throw new UserError('M_TOO_LARGE', `account data has at most ${MAX_ACCOUNT_DATA_LENGTH} characters`)
      }
      if (before === undefined) await checkRoom(userId)
      return committer.submit({
        writes: (position): readonly Write[] => [
          ...(before === undefined
            ? []
            : [accountDataStream.delete([userId, before.position, roomId ?? '', type])]),
          ...newEntry(userId, roomId ?? '', type, content, position),
        ],
      })
    })

  const checkRoom = async (userId: UserId): Promise<void> => {
    const rows = await accountDataStream.list(store, [userId], { limit: MAX_ACCOUNT_DATA_ENTRIES })
    if (rows.length >= MAX_ACCOUNT_DATA_ENTRIES) {
      throw new UserError('M_TOO_LARGE', `an account has at most ${MAX_ACCOUNT_DATA_ENTRIES} entries`)
    }
  }

  return {
    async update(userId, roomId, type, change) {
      await update(userId, roomId, type, change)
    },
    async get(userId, roomId, type) {
      return (await accountData.get(store, [userId, roomId ?? '', type]))?.content
    },
    async set(userId, roomId, type, content) {
      return (await update(userId, roomId, type, () => content)) ?? committer.committed
    },
    async since(userId, from, to) {
      const stream = await accountDataStream.range(store, [userId], from + 1, to + 1)
      const keys = stream.map(([[, , roomId, type]]) => [userId, roomId, type] as const)
      const rows = await accountData.getMany(store, keys)
      return rows.flatMap((row, index) => {
        const [, roomId = '', type = ''] = keys[index] ?? []
        return row === undefined ? [] : [entry(roomId, type, row)]
      })
    },
    async ofRoom(userId, roomId) {
      const rows = await accountData.list(store, [userId, roomId])
      return rows.map(([[, , type], row]) => entry(roomId, type, row))
    },
  }
}

/** The writes of an entry that is not there yet. */
export function newEntry(
  userId: UserId,
  roomId: RoomId | '',
  type: string,
  content: JsonObject,
  position: StreamPosition,
): readonly Write[] {
  return [
    accountData.put([userId, roomId, type], { content, position }),
    accountDataStream.put([userId, position, roomId, type], 1),
  ]
}

function entry(
  roomId: string,
  type: string,
  row: { readonly content: AccountDataEntry['content']; readonly position: number },
): AccountDataEntry {
  return { ...(roomId === '' ? {} : { roomId: roomId as RoomId }), type, ...row }
}
