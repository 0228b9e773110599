/** What clients want to be pushed, and to where; see `push/`. spec: client-server-api/modules/push.md "Pushers" */
import { isJsonObject, ownValue } from '@plexus/core'
import type { JsonObject } from '@plexus/core'
import type { UsersContext } from './deps.ts'
import { jsonSize, stringAt } from './read.ts'
import { pusherDeletes, pushers } from './tables.ts'
import { UserError } from './types.ts'
import type { Pushers } from './types.ts'

const MAX_PUSHERS_PER_USER = 100
/** JSON text of one pusher, in UTF-16 code units. */
const MAX_PUSHER_LENGTH = 10_000
/** spec: POST /pushers/set */
const MAX_APP_ID_LENGTH = 64
const MAX_PUSH_KEY_LENGTH = 512

/** spec: POST /pushers/set `data.url`. Without TLS only on the same machine, which a node reaches where it is told to. */
const GATEWAY_URL =
  /^(?:https:\/\/[^/?#@\s]+|http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?)\/_matrix\/push\/v1\/notify$/

export function createPushers({ store, committer, mutex, clock, pushGateway }: UsersContext): Pushers {
  const check = (pusher: JsonObject): void => {
    if (ownValue(pusher, 'kind') !== 'http')
      throw new UserError('M_INVALID_PARAM', 'this server has pushers of kind http alone')
    const data = ownValue(pusher, 'data')
    const url = isJsonObject(data) ? stringAt(data, 'url') : undefined
    if (url === undefined || !GATEWAY_URL.test(url))
      throw new UserError('M_INVALID_PARAM', 'data.url must be an https address of /_matrix/push/v1/notify')
    if (jsonSize(pusher) > MAX_PUSHER_LENGTH) throw new UserError('M_TOO_LARGE', 'the pusher is too large')
    if (pushGateway === undefined)
      throw new UserError('M_FORBIDDEN', 'this node runs in a browser, which cannot call push gateways')
  }

  /** A phone has one owner at a time, unless both say otherwise. */
  const othersWith = async (userId: string, appId: string, pushKey: string) =>
    (await pushers.list(store, []))
      .map(([key]) => key)
      .filter(([owner, app, key]) => owner !== userId && app === appId && key === pushKey)

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
          await committer.submit({ writes: () => pusherDeletes(key) })
          return
        }
        check(pusher)
        const held = await pushers.list(store, [userId])
        const before = await pushers.get(store, key)
        if (before === undefined && held.length >= MAX_PUSHERS_PER_USER) {
          throw new UserError('M_LIMIT_EXCEEDED', `an account has at most ${MAX_PUSHERS_PER_USER} pushers`)
        }
        const { append, ...kept } = pusher
        const others = append === true ? [] : await othersWith(userId, appId, pushKey)
        const row = { deviceId, pusher: kept, setAt: clock.now(), upTo: before?.upTo ?? committer.committed }
        await committer.submit({
          writes: () => [...others.flatMap(pusherDeletes), pushers.put(key, row)],
        })
      }),
  }
}
