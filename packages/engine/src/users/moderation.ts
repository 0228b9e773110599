/** Who administers this server, and which accounts they restrict. spec: client-server-api/_index.md "Account moderation" */
import { localpartOf, serverOf, type UserId } from '@plexus/core'
import type { UsersContext, UsersInit } from './deps.ts'
import { restrictions } from './tables.ts'
import type { Restrictions } from './tables.ts'
import { UserError } from './types.ts'
import type { Accounts, Moderation } from './types.ts'

export function createModeration(
  { store, committer, signer, mutex }: UsersContext,
  accounts: Pick<Accounts, 'exists'>,
  init: Pick<UsersInit, 'admins'>,
): Moderation {
  const admins = new Set(init.admins)
  /** The restricted accounts. Every request asks, and they are few. */
  let loaded: Promise<Map<UserId, Restrictions>> | undefined
  const load = async (): Promise<Map<UserId, Restrictions>> => {
    try {
      return new Map((await restrictions.list(store, [])).map(([[userId], row]) => [userId as UserId, row]))
    } catch (error) {
      // The next request looks again.
      loaded = undefined
      throw error
    }
  }

  const isAdmin = (userId: UserId): boolean =>
    serverOf(userId) === signer.name && admins.has(localpartOf(userId))

  const restrictionsOf = async (userId: UserId): Promise<Restrictions> =>
    (await (loaded ??= load())).get(userId) ?? {}

  /** @throws UserError for an account that is not of this server, or not there. */
  const check = async (userId: UserId): Promise<void> => {
    if (serverOf(userId) !== signer.name)
      throw new UserError('M_INVALID_PARAM', 'the user is not of this server')
    if (!(await accounts.exists(userId))) throw new UserError('M_NOT_FOUND', 'there is no such account')
  }

  return {
    isAdmin,
    restrictionsOf,
    async find(userId) {
      await check(userId)
      return restrictionsOf(userId)
    },
    restrict: (userId, change) =>
      mutex.run('moderation', async () => {
        await check(userId)
        if (isAdmin(userId)) throw new UserError('M_FORBIDDEN', 'an administrator is not restricted')
        const { locked, suspended } = { ...(await restrictionsOf(userId)), ...change }
        const next: Restrictions = {
          ...(locked === true ? { locked } : {}),
          ...(suspended === true ? { suspended } : {}),
        }
        const known = await (loaded ??= load())
        const isFree = Object.keys(next).length === 0
        await committer.submit({
          writes: () => [isFree ? restrictions.delete([userId]) : restrictions.put([userId], next)],
          publish: () => void (isFree ? known.delete(userId) : known.set(userId, next)),
          durability: 'strict',
        })
      }),
  }
}
