/** What other servers ask. spec: server-server-api.md "Device Management", "End-to-End Encryption" */
import { ownValue, parseUserId, serverOf } from '@plexus/core'
import type { UserId } from '@plexus/core'
import type { UsersContext } from './deps.ts'
import type { LocalLists } from './device-lists-local.ts'
import type { KeyReader } from './e2ee-keys.ts'
import { publicDevices, publicSigningKeys } from './local-identity.ts'
import type { MediaStore } from './media.ts'
import type { RecentIds } from './recent-ids.ts'
import { UserError } from './types.ts'
import type { Accounts, ClaimedKeys, Profiles, Thumbnails, UserQueries } from './types.ts'

/** Users in one query of another server. */
const MAX_FEDERATED_USERS = 1_000
/** Devices in one claim of another server. */
const MAX_FEDERATED_CLAIMS = 1_000

export type QueryParts = {
  readonly accounts: Accounts
  readonly profiles: Profiles
  readonly lists: LocalLists
  readonly reader: KeyReader
  readonly media: MediaStore
  readonly thumbnails: Thumbnails
  readonly claimed: RecentIds<ClaimedKeys>
}

export function createQueries(context: UsersContext, parts: QueryParts): UserQueries {
  const { store, committer, mutex, signer } = context
  const { accounts, profiles, lists, reader, media, thumbnails, claimed } = parts

  const checkLocal = async (userId: UserId): Promise<void> => {
    if (serverOf(userId) !== signer.name || !(await accounts.exists(userId))) {
      throw new UserError('M_NOT_FOUND', 'there is no such user')
    }
  }

  const localOnly = <T>(
    users: Readonly<Record<string, T>>,
    bound: number,
  ): readonly (readonly [UserId, T])[] => {
    const entries = Object.entries(users)
    if (entries.length > bound) throw new UserError('M_TOO_LARGE', `at most ${bound} users`)
    return entries.flatMap(([text, value]) => {
      const userId = parseUserId(text)
      return userId === undefined || serverOf(userId) !== signer.name ? [] : [[userId, value] as const]
    })
  }

  return {
    async devices(_origin, userId) {
      await checkLocal(userId)
      // Read first: an update between the two reads is then sent again rather than missed.
      const streamId = await lists.streamId(userId)
      const devices = await publicDevices(store, userId)
      const { master, selfSigning } = await publicSigningKeys(store, userId, undefined)
      return {
        user_id: userId,
        stream_id: streamId,
        // One without keys has no place in the definition, and nobody can use it.
        devices: devices.filter(({ keys }) => keys !== undefined),
        ...(master === undefined ? {} : { master_key: master }),
        ...(selfSigning === undefined ? {} : { self_signing_key: selfSigning }),
      }
    },

    async queryKeys(_origin, deviceKeys) {
      const found = await Promise.all(
        localOnly(deviceKeys, MAX_FEDERATED_USERS).map(async ([userId, ids]) => ({
          userId,
          ...(await reader.local(userId, ids, undefined)),
        })),
      )
      return {
        device_keys: Object.fromEntries(found.map(({ userId, devices }) => [userId, devices])),
        master_keys: Object.fromEntries(
          found.flatMap(({ userId, master }) => (master ? [[userId, master]] : [])),
        ),
        self_signing_keys: Object.fromEntries(
          found.flatMap(({ userId, selfSigning }) => (selfSigning ? [[userId, selfSigning]] : [])),
        ),
      }
    },

    claimKeys: (origin, requestId, claims) =>
      mutex.run(`claim ${origin} ${requestId}`, async () => {
        const before = await claimed.get(origin, requestId)
        if (before !== undefined) return { one_time_keys: before }
        const own = Object.fromEntries(localOnly(claims, MAX_FEDERATED_USERS))
        const devices = Object.values(own).reduce((sum, ofUser) => sum + Object.keys(ofUser).length, 0)
        if (devices > MAX_FEDERATED_CLAIMS) {
          throw new UserError('M_TOO_LARGE', `at most ${MAX_FEDERATED_CLAIMS} devices in one claim`)
        }
        const given = await reader.claimLocal(own)
        await committer.submit({ writes: () => claimed.claim(origin, requestId, given) ?? [] })
        return { one_time_keys: given }
      }),

    async profile(_origin, userId, field) {
      await context.seekUser(userId)
      await checkLocal(userId)
      const profile = await profiles.get(userId)
      if (field === undefined) return profile
      const value = ownValue(profile, field)
      if (value === undefined) throw new UserError('M_NOT_FOUND', 'the field is not set')
      return { [field]: value }
    },

    media: (_origin, mediaId, options) => media.own(mediaId, options),
    thumbnail: (_origin, mediaId, size, options) => thumbnails.get(signer.name, mediaId, size, options),
  }
}
