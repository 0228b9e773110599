/** Pushers are kept for clients that set them; nothing is pushed. spec: client-server-api/modules/push.md "Pushers" */
import { ownValue } from '@plexus/core'
import type { UsersContext } from './deps.ts'
import { jsonSize, stringAt } from './read.ts'
import { pushers } from './tables.ts'
import { UserError } from './types.ts'
import type { Pushers } from './types.ts'

const MAX_PUSHERS_PER_USER = 100
/** JSON text of one pusher, in UTF-16 code units. */
const MAX_PUSHER_LENGTH = 10_000
/** spec: POST /pushers/set */
const MAX_APP_ID_LENGTH = 64
const MAX_PUSH_KEY_LENGTH = 512

export function createPushers({ store, committer, mutex }: UsersContext): Pushers {
  return {
    async list(userId) {
      return (await pushers.list(store, [userId])).map(([, { pusher }]) => pusher)
    },
    set: ({ userId, deviceId }, pusher) =>
      mutex.run(`pushers ${userId}`, async () => {
        const appId = stringAt(pusher, 'app_id')
        const pushKey = stringAt(pusher, 'pushkey')
        if (appId === undefined || pushKey === undefined) {
          throw new UserError('M_MISSING_PARAM', 'a pusher needs app_id and pushkey')
        }
        if (appId.length > MAX_APP_ID_LENGTH || pushKey.length > MAX_PUSH_KEY_LENGTH) {
          throw new UserError('M_INVALID_PARAM', 'app_id or pushkey is too long')
        }
        const key = [userId, appId, pushKey] as const
        if (ownValue(pusher, 'kind') === null) {
          await committer.submit({ writes: () => [pushers.delete(key)] })
          return
        }
        if (jsonSize(pusher) > MAX_PUSHER_LENGTH)
          throw new UserError('M_TOO_LARGE', 'the pusher is too large')
        const held = await pushers.list(store, [userId])
        const isNew = (await pushers.get(store, key)) === undefined
        if (isNew && held.length >= MAX_PUSHERS_PER_USER) {
          throw new UserError('M_LIMIT_EXCEEDED', `an account has at most ${MAX_PUSHERS_PER_USER} pushers`)
        }
        await committer.submit({ writes: () => [pushers.put(key, { deviceId, pusher })] })
      }),
  }
}
