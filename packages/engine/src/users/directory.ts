/** User directory. spec: client-server-api/_index.md "User Directory" */
import { memberKey } from '@plexus/core'
import type { UserId } from '@plexus/core'
import type { UsersContext } from './deps.ts'
import { stringAt } from './read.ts'
import { joinedRooms } from './sharing.ts'
import { profiles } from './tables.ts'
import type { Accounts, DirectoryUser, UserDirectory } from './types.ts'

/** Members that one search looks at. */
const MAX_SEARCHED_MEMBERS = 10_000

export function createUserDirectory({ store, rooms }: UsersContext, accounts: Accounts): UserDirectory {
  const roomMembers = async (userId: UserId): Promise<ReadonlyMap<UserId, DirectoryUser>> => {
    const found = new Map<UserId, DirectoryUser>()
    for (const snapshot of await joinedRooms(rooms(), userId)) {
      const members = snapshot.joinedMembers.slice(0, MAX_SEARCHED_MEMBERS - found.size)
      const events = await rooms().stateEvents(snapshot.state, members.map(memberKey))
      for (const { pdu } of events) {
        const member = pdu.state_key as UserId
        found.set(
          member,
          entryOf(member, stringAt(pdu.content, 'displayname'), stringAt(pdu.content, 'avatar_url')),
        )
      }
      if (found.size >= MAX_SEARCHED_MEMBERS) break
    }
    return found
  }

  return {
    async search(userId, term, limit) {
      const wanted = term.trim().toLowerCase()
      const found = new Map(await roomMembers(userId))
      for (const local of await accounts.list()) {
        const profile = (await profiles.get(store, [local])) ?? {}
        found.set(local, entryOf(local, stringAt(profile, 'displayname'), stringAt(profile, 'avatar_url')))
      }
      const matching = [...found.values()]
        .filter(({ user_id, display_name }) =>
          [user_id, display_name ?? ''].some((text) => text.toLowerCase().includes(wanted)),
        )
        .sort((a, b) => (a.user_id < b.user_id ? -1 : 1))
      return { results: matching.slice(0, limit), limited: matching.length > limit }
    },
  }
}

function entryOf(userId: UserId, name: string | undefined, avatar: string | undefined): DirectoryUser {
  return {
    user_id: userId,
    ...(name === undefined ? {} : { display_name: name }),
    ...(avatar === undefined ? {} : { avatar_url: avatar }),
  }
}
