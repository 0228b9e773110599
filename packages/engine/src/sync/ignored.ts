import { isJsonObject, ownValue } from '@plexus/core'
import type { UserId } from '@plexus/core'
import type { AccountData } from '../users/types.ts'

/** Whose messages and invites the user does not want to see. spec: client-server-api/modules/ignore_users.md */
export async function ignoredUsers(
  accountData: Pick<AccountData, 'get'>,
  userId: UserId,
): Promise<ReadonlySet<string>> {
  const content = await accountData.get(userId, undefined, 'm.ignored_user_list')
  const ignored = content === undefined ? undefined : ownValue(content, 'ignored_users')
  return new Set(isJsonObject(ignored) ? Object.keys(ignored) : [])
}
