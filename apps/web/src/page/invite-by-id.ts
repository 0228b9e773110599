/** Invites somebody of whom nothing but the user id is known. */
import { parseUserId, serverOf, type ServerName, type UserId } from '@plexus/core'
import { isKeyName, type SignedAccountRecord } from '@plexus/core/names'
import { isUnreachable } from './problems.ts'

export type InviteByIdDeps = {
  /** True when the server's node is connected. */
  isConnected(name: ServerName): boolean
  /** Looks for the server's node: seconds. */
  find(name: ServerName): Promise<SignedAccountRecord | undefined>
  invite(userId: UserId): Promise<unknown>
}

/** @throws Error with words for the user */
export async function inviteById(
  deps: InviteByIdDeps,
  typed: string,
  step: (words: string) => void,
): Promise<void> {
  const userId = parseUserId(typed.trim())
  if (userId === undefined) throw new Error('A user id looks like @name:server. Copy it from their settings.')
  const server = serverOf(userId)
  let record: SignedAccountRecord | undefined
  if (isKeyName(server) && !deps.isConnected(server)) {
    step('Looking for their node')
    record = await deps.find(server)
    const tombstone = record?.record.tombstone
    if (tombstone === 'dead') throw new Error('This account was given up by its owner.')
    if (tombstone !== undefined)
      throw new Error(`They have moved to ${tombstone.movedTo}. Ask them for their new user id.`)
  }
  step('Inviting')
  try {
    await deps.invite(userId)
  } catch (error) {
    if (!isUnreachable(error) || deps.isConnected(server)) throw error
    throw new Error(record === undefined ? NOBODY : AWAY, { cause: error })
  }
}

const NOBODY =
  'Nobody was found under this user id. Check it for a mistake, or ask them to open Plexus and try again.'
const AWAY = 'They were found, but their Plexus is closed. Ask them to open it, then try again.'
