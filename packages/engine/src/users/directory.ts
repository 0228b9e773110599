/** User directory. spec: client-server-api/_index.md "User Directory" */
import { JOIN_RULES_KEY, memberKey, stateKey } from '@plexus/core'
import type { JsonObject, UserId } from '@plexus/core'
import type { RoomSnapshot } from '../rooms/types.ts'
import type { UsersContext } from './deps.ts'
import { stringAt } from './read.ts'
import { joinedRooms } from './sharing.ts'
import { profiles } from './tables.ts'
import type { Accounts, DirectoryUser, UserDirectory } from './types.ts'

/** Members that one search looks at. */
const MAX_SEARCHED_MEMBERS = 10_000
/** Rooms that one search looks at besides those of who asks. */
const MAX_SEARCHED_ROOMS = 1_000
const HISTORY_VISIBILITY_KEY = stateKey('m.room.history_visibility', '')

export function createUserDirectory({ store, rooms }: UsersContext, accounts: Accounts): UserDirectory {
  /** Anybody may join it, or read it. */
  const isOpen = async ({ state }: RoomSnapshot): Promise<boolean> => {
    const events = await rooms().stateEvents(state, [JOIN_RULES_KEY, HISTORY_VISIBILITY_KEY])
    return events.some(
      ({ pdu: { content } }) =>
        content['join_rule'] === 'public' || content['history_visibility'] === 'world_readable',
    )
  }

  /** Those of the user come first. */
  const visibleRooms = async function* (userId: UserId, locals: Iterable<UserId>) {
    const own = await joinedRooms(rooms(), userId)
    yield* own
    const seen = new Set(own.map(({ roomId }) => roomId))
    const most = seen.size + MAX_SEARCHED_ROOMS
    for (const local of locals) {
      for (const snapshot of await joinedRooms(rooms(), local)) {
        if (seen.has(snapshot.roomId)) continue
        if (seen.size === most) return
        seen.add(snapshot.roomId)
        if (await isOpen(snapshot)) yield snapshot
      }
    }
  }

  /** Local users by their profiles, others as they are called in each room. */
  const entries = async function* (userId: UserId) {
    const locals = new Set(await accounts.list())
    for (const local of locals) yield entryOf(local, (await profiles.get(store, [local])) ?? {})
    let left = MAX_SEARCHED_MEMBERS
    for await (const { state, joinedMembers } of visibleRooms(userId, locals)) {
      const members = joinedMembers.filter((member) => !locals.has(member)).slice(0, left)
      for (const { pdu } of await rooms().stateEvents(state, members.map(memberKey)))
        yield entryOf(pdu.state_key as UserId, pdu.content)
      left -= members.length
      if (left === 0) return
    }
  }

  return {
    async search(userId, term, limit) {
      const wanted = term.trim().toLowerCase()
      const found = new Map<UserId, DirectoryUser>()
      for await (const entry of entries(userId)) {
        const texts = [entry.user_id, entry.display_name ?? '']
        if (!found.has(entry.user_id) && texts.some((text) => text.toLowerCase().includes(wanted)))
          found.set(entry.user_id, entry)
      }
      const matching = [...found.values()].sort((a, b) => (a.user_id < b.user_id ? -1 : 1))
      return { results: matching.slice(0, limit), limited: matching.length > limit }
    },
  }
}

/** Of a profile, or of the content of a member event. */
function entryOf(userId: UserId, content: JsonObject): DirectoryUser {
  const name = stringAt(content, 'displayname')
  const avatar = stringAt(content, 'avatar_url')
  return {
    user_id: userId,
    ...(name === undefined ? {} : { display_name: name }),
    ...(avatar === undefined ? {} : { avatar_url: avatar }),
  }
}
