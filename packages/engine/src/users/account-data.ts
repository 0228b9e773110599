/** Account data, global and per room. spec: client-server-api/modules/account_data.md */
import type { JsonObject, RoomId, UserId } from '@plexus/core'
import type { StreamPosition } from '../kernel/committer.ts'
import { createLru } from '../kernel/lru.ts'
import type { Write } from '../ports.ts'
import type { UsersContext, UsersInit } from './deps.ts'
import { createReadCache } from '../kernel/read-cache.ts'
import { jsonSize } from './read.ts'
import { accountData, accountDataStream } from './tables.ts'
import { UserError } from './types.ts'
import type { AccountData, AccountDataEntry } from './types.ts'

/** JSON text of one entry, in UTF-16 code units. */
const MAX_ACCOUNT_DATA_LENGTH: number = 512 * 1024
/** Entries of one user, in all rooms together. */
const MAX_ACCOUNT_DATA_ENTRIES = 20_000
/** Contents that are known without a look into the store. */
const MAX_CONTENTS_IN_MEMORY = 1_000
/** Users whose entries are counted without a look into the store. */
const MAX_COUNTS_IN_MEMORY = 10_000
const MAX_ACCOUNT_DATA_TYPE_LENGTH = 255

export interface AccountDataStore extends AccountData {
  /** The writes of an entry that is not there yet, for the commit that makes its user. */
  newEntry(userId: UserId, type: string, content: JsonObject, position: StreamPosition): readonly Write[]
}

export function createAccountData(context: UsersContext, init: UsersInit = {}): AccountDataStore {
  const { store, committer, mutex } = context
  const maxEntries = init.maxAccountDataEntries ?? MAX_ACCOUNT_DATA_ENTRIES
  // Entries of a user; counted once, since the count is asked for with each new one.
  const counts = createLru<UserId, number>(MAX_COUNTS_IN_MEMORY)
  committer.onFailure(() => {
    counts.clear()
  })

  const cache = createReadCache<JsonObject | undefined>(MAX_CONTENTS_IN_MEMORY)
  // No entry stands above this position.
  let newest = committer.committed

  const nameOf = (userId: UserId, roomId: RoomId | '', type: string): string =>
    JSON.stringify([userId, roomId, type])

  const entryWrites = (
    userId: UserId,
    roomId: RoomId | '',
    type: string,
    content: JsonObject,
    position: StreamPosition,
  ): readonly Write[] => {
    newest = Math.max(newest, position)
    return [
      accountData.put([userId, roomId, type], { content, position }),
      accountDataStream.put([userId, position, roomId, type], 1),
    ]
  }

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
      const count = before === undefined ? await countOf(userId) : 0
      if (count >= maxEntries)
        throw new UserError('M_TOO_LARGE', `an account has at most ${maxEntries} entries`)
      return committer.submit({
        writes: (position): readonly Write[] => [
          ...(before === undefined
            ? []
            : [accountDataStream.delete([userId, before.position, roomId ?? '', type])]),
          ...entryWrites(userId, roomId ?? '', type, content, position),
        ],
        publish() {
          cache.drop(nameOf(userId, roomId ?? '', type))
          if (before === undefined) counts.set(userId, count + 1)
        },
      })
    })

  const countOf = async (userId: UserId): Promise<number> =>
    counts.get(userId) ?? (await accountDataStream.list(store, [userId])).length

  return {
    async update(userId, roomId, type, change) {
      await update(userId, roomId, type, change)
    },
    newEntry: (userId, type, content, position) => entryWrites(userId, '', type, content, position),
    get: (userId, roomId, type) =>
      cache.get(
        nameOf(userId, roomId ?? '', type),
        async () => (await accountData.get(store, [userId, roomId ?? '', type]))?.content,
      ),
    async set(userId, roomId, type, content) {
      return (await update(userId, roomId, type, () => content)) ?? committer.committed
    },
    async since(userId, from, to) {
      if (from >= newest) return []
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

function entry(
  roomId: string,
  type: string,
  row: { readonly content: AccountDataEntry['content']; readonly position: number },
): AccountDataEntry {
  return { ...(roomId === '' ? {} : { roomId: roomId as RoomId }), type, ...row }
}
