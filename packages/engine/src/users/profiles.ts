/** Profiles. spec: client-server-api/_index.md "Profiles" */
import { memberKey, ownValue, serverOf, utf8Length } from '@plexus/core'
import type { JsonObject, JsonValue, UserId } from '@plexus/core'
import { CarrierError, FederationError } from '../ports.ts'
import type { UsersContext } from './deps.ts'
import { stringAt } from './read.ts'
import { joinedRooms } from './sharing.ts'
import { profiles } from './tables.ts'
import { UserError } from './types.ts'
import type { Accounts, Profiles, RemoteOptions } from './types.ts'

/** Bytes of JSON; "the total profile MUST be under 64 KiB". */
const MAX_PROFILE_BYTES = 65_535
const MAX_PROFILE_KEY_BYTES = 255
/** In UTF-16 code units, as other servers bound it. */
const MAX_DISPLAY_NAME_LENGTH = 256
const MAX_AVATAR_URL_LENGTH = 1_000
const FETCH_TIMEOUT_MS = 10_000

const FIELD = /^(?:avatar_url|displayname|m\.tz|[a-z][a-z0-9_-]*(?:\.[a-z][a-z0-9_-]*)+)$/
/** Fields that stand in member events too. */
const MEMBER_FIELDS: readonly string[] = ['displayname', 'avatar_url']

export function createProfiles(context: UsersContext, accounts: Accounts): Profiles {
  const { store, committer, mutex, signer, federation, rooms, log } = context

  const local = async (userId: UserId): Promise<JsonObject> => {
    if (!(await accounts.exists(userId))) throw new UserError('M_NOT_FOUND', 'there is no such user')
    return (await profiles.get(store, [userId])) ?? {}
  }

  const remote = async (
    userId: UserId,
    field: string | undefined,
    options: RemoteOptions,
  ): Promise<JsonObject> => {
    try {
      const timeoutMs = options.timeoutMs ?? FETCH_TIMEOUT_MS
      const answer = await federation.profile(serverOf(userId), userId, field, { ...options, timeoutMs })
      return JSON.stringify(answer).length > MAX_PROFILE_BYTES ? {} : answer
    } catch (error) {
      if (error instanceof FederationError && error.remote.status === 404) {
        throw new UserError('M_NOT_FOUND', 'there is no such profile')
      }
      if (!(error instanceof CarrierError)) throw error
      // Their server is away; rooms that both are in say who they are.
      const known = await seenInRooms(userId)
      if (known === undefined) throw error
      return known
    }
  }

  const seenInRooms = async (userId: UserId): Promise<JsonObject | undefined> => {
    const key = memberKey(userId)
    for (const localUser of await accounts.list()) {
      for (const snapshot of await joinedRooms(rooms(), localUser)) {
        if (!snapshot.joinedMembers.includes(userId)) continue
        const [event] = await rooms().stateEvents(snapshot.state, [key])
        if (event !== undefined) return memberFields(event.pdu.content)
      }
    }
    return undefined
  }

  /** Member events are of the rooms; one room that refuses must not keep the others from it. */
  const spread = async (userId: UserId): Promise<void> => {
    const fields = memberFields((await profiles.get(store, [userId])) ?? {})
    for (const snapshot of await joinedRooms(rooms(), userId)) {
      const [event] = await rooms().stateEvents(snapshot.state, [memberKey(userId)])
      if (event === undefined || sameFields(memberFields(event.pdu.content), fields)) continue
      const kept = Object.entries(event.pdu.content).filter(
        ([key]) => !MEMBER_FIELDS.includes(key) && key !== 'join_authorised_via_users_server',
      )
      const content = { ...Object.fromEntries(kept), membership: 'join', ...fields }
      try {
        await rooms().send(snapshot.roomId, {
          type: 'm.room.member',
          sender: userId,
          stateKey: userId,
          content,
        })
      } catch (error) {
        const { roomId } = snapshot
        log.log('warn', 'a profile change did not reach a room', { roomId, error: String(error) })
      }
    }
  }

  const get = (userId: UserId, options: RemoteOptions = {}): Promise<JsonObject> =>
    serverOf(userId) === signer.name ? local(userId) : remote(userId, undefined, options)

  return {
    get,
    async field(userId, field, options = {}) {
      const profile =
        serverOf(userId) === signer.name ? await local(userId) : await remote(userId, field, options)
      const value = ownValue(profile, field)
      if (value === undefined) throw new UserError('M_NOT_FOUND', 'the field is not set')
      return value
    },
    async memberContent(userId) {
      return memberFields((await profiles.get(store, [userId])) ?? {})
    },
    async set(userId, field, value) {
      checkField(field, value)
      // Under one lock to the end, so that the rooms see changes in their order.
      await mutex.run(`profile ${userId}`, async () => {
        const before = await local(userId)
        const others = Object.entries(before).filter(([key]) => key !== field)
        const after = Object.fromEntries(value === undefined ? others : [...others, [field, value]])
        if (utf8Length(JSON.stringify(after)) > MAX_PROFILE_BYTES) {
          throw new UserError('M_PROFILE_TOO_LARGE', 'a profile is under 64 KiB')
        }
        await committer.submit({ writes: () => [profiles.put([userId], after)] })
        if (MEMBER_FIELDS.includes(field)) await spread(userId)
      })
    },
  }
}

function checkField(field: string, value: JsonValue | undefined): void {
  if (utf8Length(field) > MAX_PROFILE_KEY_BYTES)
    throw new UserError('M_KEY_TOO_LARGE', 'the field name is too long')
  if (!FIELD.test(field)) throw new UserError('M_INVALID_PARAM', 'not a profile field')
  if (value === undefined) return
  if (field === 'displayname' && !(typeof value === 'string' && value.length <= MAX_DISPLAY_NAME_LENGTH)) {
    throw new UserError(
      'M_INVALID_PARAM',
      `a name is a string of at most ${MAX_DISPLAY_NAME_LENGTH} characters`,
    )
  }
  if (field === 'avatar_url' && !(typeof value === 'string' && value.length <= MAX_AVATAR_URL_LENGTH)) {
    throw new UserError('M_INVALID_PARAM', 'an avatar is the URL of media')
  }
  if (field === 'm.tz' && typeof value !== 'string')
    throw new UserError('M_INVALID_PARAM', 'a time zone is a string')
}

/** Empty ones are as good as none. */
function memberFields(object: JsonObject): JsonObject {
  return Object.fromEntries(
    MEMBER_FIELDS.flatMap((field) => {
      const value = stringAt(object, field)
      return value === undefined || value === '' ? [] : [[field, value]]
    }),
  )
}

function sameFields(a: JsonObject, b: JsonObject): boolean {
  return MEMBER_FIELDS.every((field) => ownValue(a, field) === ownValue(b, field))
}
