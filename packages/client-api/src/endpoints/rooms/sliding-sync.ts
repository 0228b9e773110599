// POST /_matrix/client/v4/sync https://github.com/matrix-org/matrix-spec-proposals/pull/4186
import type { RoomId, UserId } from '@plexus/core'
import type {
  ExtensionScope,
  RequiredState,
  RoomConfig,
  SlidingExtensions,
  SlidingList,
  StatePattern,
} from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { invalidParam } from '../../matrix-error.ts'
import { queryInteger, roomId, shortText } from '../../schemas.ts'

const MAX_TIMEOUT_MS = 120_000
/** Lists, and rooms of `room_subscriptions`. */
export const MAX_SLIDING_RULES = 100
/** Events of one room in one answer. */
export const MAX_SLIDING_TIMELINE = 100
/** Elements of one list in a request, such as patterns of state or spaces of a filter. */
export const MAX_SLIDING_ELEMENTS = 100
const MAX_TO_DEVICE_LIMIT = 100

const bounded = <Item extends v.GenericSchema>(item: Item) =>
  v.pipe(v.array(item), v.maxLength(MAX_SLIDING_ELEMENTS, `at most ${MAX_SLIDING_ELEMENTS} elements`))
const natural = v.pipe(v.number(), v.integer(), v.minValue(0))

const pattern = v.object({ type: v.optional(v.string()), state_key: v.optional(v.string()) })
const required = v.object({
  include: v.optional(bounded(pattern), []),
  exclude: v.optional(bounded(pattern), []),
  lazy_members: v.optional(v.boolean(), false),
})
/** As deployed clients ask: pairs of type and state key, with `*`, `$ME` and `$LAZY`. */
const requiredPairs = bounded(v.tuple([v.string(), v.string()]))
const config = {
  timeline_limit: v.optional(
    v.pipe(
      natural,
      v.transform((limit) => Math.min(limit, MAX_SLIDING_TIMELINE)),
    ),
    1,
  ),
  required_state: v.optional(v.union([requiredPairs, required]), []),
}
const range = v.tuple([natural, natural])
const types = v.optional(bounded(v.nullable(v.string())))
const filters = v.object({
  is_dm: v.optional(v.boolean()),
  is_encrypted: v.optional(v.boolean()),
  is_invited: v.optional(v.boolean()),
  // The name before, which deployed clients use.
  is_invite: v.optional(v.boolean()),
  spaces: v.optional(bounded(roomId)),
  room_types: types,
  not_room_types: types,
  tags: v.optional(bounded(v.string())),
  not_tags: v.optional(bounded(v.string())),
})
const list = v.object({
  ...config,
  range: v.optional(range),
  ranges: v.optional(bounded(range)),
  filters: v.optional(v.nullable(filters)),
})
const subscription = v.object(config)
const scope = v.object({
  enabled: v.optional(v.boolean()),
  lists: v.optional(v.nullable(bounded(v.string()))),
  rooms: v.optional(v.nullable(bounded(v.string()))),
})
const extensions = v.object({
  to_device: v.optional(
    v.object({
      enabled: v.optional(v.boolean()),
      since: v.optional(v.nullable(v.string())),
      limit: v.optional(
        v.pipe(
          v.number(),
          v.integer(),
          v.minValue(1),
          v.transform((limit) => Math.min(limit, MAX_TO_DEVICE_LIMIT)),
        ),
        MAX_TO_DEVICE_LIMIT,
      ),
    }),
  ),
  e2ee: v.optional(v.object({ enabled: v.optional(v.boolean()) })),
  account_data: v.optional(scope),
  receipts: v.optional(scope),
  typing: v.optional(scope),
})
const presence = v.picklist(['offline', 'online', 'unavailable'])
const rules = <Key extends v.GenericSchema<string, string>, Value extends v.GenericSchema>(
  key: Key,
  value: Value,
) =>
  v.pipe(
    v.record(key, value),
    v.check(
      (record) => Object.keys(record).length <= MAX_SLIDING_RULES,
      `at most ${MAX_SLIDING_RULES} entries`,
    ),
  )

export const slidingSync: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v4/sync',
  aliases: ['/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'],
  auth: 'user',
  // Deployed clients give these in the query, the proposal in the body.
  querySchema: v.object({
    pos: v.optional(v.string()),
    timeout: v.optional(queryInteger(0, MAX_TIMEOUT_MS)),
    set_presence: v.optional(presence),
  }),
  bodySchema: v.object({
    conn_id: v.optional(v.pipe(v.string(), v.maxLength(255)), ''),
    pos: v.optional(v.string()),
    timeout: v.optional(natural),
    set_presence: v.optional(v.string()),
    lists: v.optional(rules(shortText, list), {}),
    room_subscriptions: v.optional(rules(v.string(), subscription), {}),
    extensions: v.optional(extensions, {}),
  }),
  handler({ engine, requester, query, body, signal }) {
    const wantedPresence = query.set_presence ?? body.set_presence ?? 'online'
    if (!v.is(presence, wantedPresence)) throw invalidParam('set_presence is not a state of presence')
    const timeoutMs = Math.min(query.timeout ?? body.timeout ?? 0, MAX_TIMEOUT_MS)
    engine.presence.syncing(requester, wantedPresence, timeoutMs)
    const pos = query.pos ?? body.pos
    const { userId } = requester
    const lists = Object.entries(body.lists).map(([name, one]) => [name, listOf(userId, one)] as const)
    const subscriptions = Object.entries(body.room_subscriptions).map(
      ([id, one]) => [id as RoomId, configOf(userId, one)] as const,
    )
    return engine.slidingSync.sync({
      recipient: requester,
      connId: body.conn_id,
      ...(pos === undefined || pos === '' ? {} : { pos }),
      lists: new Map(lists),
      subscriptions: new Map(subscriptions),
      extensions: extensionsOf(body.extensions),
      timeoutMs,
      signal,
    })
  },
})

type Config = v.InferOutput<typeof subscription>

function configOf(
  userId: UserId,
  { timeline_limit: timelineLimit, required_state: state }: Config,
): RoomConfig {
  return { timelineLimit, requiredState: requiredStateOf(userId, state) }
}

function requiredStateOf(userId: UserId, wanted: Config['required_state']): RequiredState {
  if ('include' in wanted) {
    return {
      include: wanted.include.map(patternOf),
      exclude: wanted.exclude.map(patternOf),
      lazyMembers: wanted.lazy_members,
    }
  }
  const isLazy = ([type, key]: readonly [string, string]): boolean =>
    type === 'm.room.member' && key === '$LAZY'
  const part = (text: string): string | undefined => (text === '*' ? undefined : text)
  return {
    include: wanted
      .filter((pair) => !isLazy(pair))
      .map(([type, key]) => patternOf({ type: part(type), state_key: key === '$ME' ? userId : part(key) })),
    exclude: [],
    lazyMembers: wanted.some(isLazy),
  }
}

function patternOf({ type, state_key: stateKey }: v.InferOutput<typeof pattern>): StatePattern {
  return {
    ...(type === undefined ? {} : { type }),
    ...(stateKey === undefined ? {} : { stateKey }),
  }
}

function listOf(userId: UserId, wanted: v.InferOutput<typeof list>): SlidingList {
  const { range: one, ranges: several, filters: given } = wanted
  const ranges = several ?? (one === undefined ? undefined : [one])
  return {
    ...configOf(userId, wanted),
    ...(ranges === undefined ? {} : { ranges }),
    filters: {
      isDm: given?.is_dm,
      isEncrypted: given?.is_encrypted,
      isInvited: given?.is_invited ?? given?.is_invite,
      spaces: given?.spaces,
      roomTypes: given?.room_types,
      notRoomTypes: given?.not_room_types,
      tags: given?.tags,
      notTags: given?.not_tags,
    },
  }
}

function extensionsOf(wanted: v.InferOutput<typeof extensions>): SlidingExtensions {
  const { to_device: toDevice, e2ee, account_data: accountData, receipts, typing } = wanted
  const scopeOf = (given: v.InferOutput<typeof scope> | undefined): ExtensionScope | undefined =>
    given?.enabled === true ? { lists: given.lists ?? undefined, rooms: given.rooms ?? undefined } : undefined
  return {
    toDevice:
      toDevice?.enabled === true ? { limit: toDevice.limit, since: toDevice.since ?? undefined } : undefined,
    e2ee: e2ee?.enabled === true,
    accountData: scopeOf(accountData),
    receipts: scopeOf(receipts),
    typing: scopeOf(typing),
  }
}
