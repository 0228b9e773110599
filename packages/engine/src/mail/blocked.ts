/** Whose servers are to leave mail here as strangers do: the accounts of this node want to see none of their users. */
import { serverOf, type ServerName } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import type { Outbox } from '../outbox-types.ts'
import type { Rooms } from '../rooms/types.ts'
import { accountData, accounts } from '../users/tables.ts'
import type { Users } from '../users/types.ts'
import { ignoredUsers } from '../users/unwanted.ts'

export type BlockedDeps = {
  readonly committer: Pick<Committer, 'onCommit'>
  readonly users: () => Pick<Users, 'accounts' | 'accountData'>
  readonly rooms: () => Pick<Rooms, 'snapshot'>
  readonly outbox: () => Pick<Outbox, 'peers'>
}

/** Answers with those of the names whose users in shared rooms are all ignored, by each account of this node. */
export function createBlocked(
  deps: BlockedDeps,
): (names: readonly ServerName[]) => Promise<ReadonlySet<ServerName>> {
  let known: Promise<ReadonlySet<string>> | undefined
  deps.committer.onCommit((_position, maps) => {
    if (maps.has(accountData.map) || maps.has(accounts.map)) known = undefined
  })

  const ignoredByAll = async (): Promise<ReadonlySet<string>> => {
    const users = deps.users()
    let common: ReadonlySet<string> | undefined
    for (const userId of await users.accounts.list()) {
      const ignored = await ignoredUsers(users.accountData, userId)
      common = common === undefined ? ignored : new Set([...common].filter((user) => ignored.has(user)))
      if (common.size === 0) break
    }
    return common ?? new Set()
  }

  return async (names) => {
    known ??= ignoredByAll()
    const ignored = await known
    if (ignored.size === 0) return new Set()
    const unwanted = new Set<ServerName>()
    const wanted = new Set<ServerName>()
    for (const roomId of deps.outbox().peers().keys()) {
      for (const member of (await deps.rooms().snapshot(roomId))?.joinedMembers ?? []) {
        const side = ignored.has(member) ? unwanted : wanted
        side.add(serverOf(member))
      }
    }
    return new Set(names.filter((name) => unwanted.has(name) && !wanted.has(name)))
  }
}
