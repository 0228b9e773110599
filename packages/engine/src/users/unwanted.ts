/** What a user does not want to see, as their account data says. */
import { isJsonObject, ownValue } from '@plexus/core'
import type { Pdu, UserId } from '@plexus/core'
import type { AccountData } from './types.ts'

/** Whose messages and invites the user does not want to see. spec: client-server-api/modules/ignore_users.md */
export async function ignoredUsers(
  accountData: Pick<AccountData, 'get'>,
  userId: UserId,
): Promise<ReadonlySet<string>> {
  const content = await accountData.get(userId, undefined, 'm.ignored_user_list')
  const ignored = content === undefined ? undefined : ownValue(content, 'ignored_users')
  return new Set(isJsonObject(ignored) ? Object.keys(ignored) : [])
}

/** Messages alone: state is as it is, whoever made it. */
export function isIgnored(ignored: ReadonlySet<string>, { state_key: key, sender }: Pdu): boolean {
  return key === undefined && ignored.has(sender)
}

/** Whether the user wants no invites at all. spec: client-server-api/modules/invite_permission.md */
export async function blocksInvites(accountData: Pick<AccountData, 'get'>, userId: UserId): Promise<boolean> {
  const content = await accountData.get(userId, undefined, 'm.invite_permission_config')
  return content !== undefined && ownValue(content, 'default_action') === 'block'
}

/** Whether the user wants to see an invite, by its sender. */
export async function inviteFilter(
  accountData: Pick<AccountData, 'get'>,
  userId: UserId,
): Promise<(sender: UserId) => boolean> {
  if (await blocksInvites(accountData, userId)) return () => false
  const ignored = await ignoredUsers(accountData, userId)
  return (sender) => !ignored.has(sender)
}
