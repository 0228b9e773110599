import { ownValue } from '@plexus/core'
import type { UserId } from '@plexus/core'
import type { AccountData } from './types.ts'

/** Whether the user wants no invites at all. spec: client-server-api/modules/invite_permission.md */
export async function blocksInvites(accountData: Pick<AccountData, 'get'>, userId: UserId): Promise<boolean> {
  const content = await accountData.get(userId, undefined, 'm.invite_permission_config')
  return content !== undefined && ownValue(content, 'default_action') === 'block'
}
