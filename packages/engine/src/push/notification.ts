/** The body of a call to a push gateway. spec: data/api/push-gateway/push_notifier.yaml */
import { isJsonObject, memberKey, ownValue, stateKey } from '@plexus/core'
import type { JsonObject, StateKey, StateMap, UserId } from '@plexus/core'
import type { Rooms } from '../rooms/types.ts'
import type { PusherRow } from '../users/tables.ts'

/** What a user is told about. */
export type Told = {
  readonly eventId: string
  readonly type: string
  readonly sender: UserId
  readonly content: JsonObject
  readonly stateKey: string | undefined
  readonly roomId: string
  readonly position: number
  readonly actions: readonly (string | JsonObject)[]
  /** Of the room; absent for an invite. */
  readonly state?: StateMap
}

export function pusherUrl({ pusher }: PusherRow): string | undefined {
  const url = ownValue(dataOf(pusher), 'url')
  return typeof url === 'string' ? url : undefined
}

const dataOf = (pusher: JsonObject): JsonObject => {
  const data = ownValue(pusher, 'data')
  return isJsonObject(data) ? data : {}
}

/** `told` is absent when only the number of unread messages changed. */
export async function notificationOf(
  rooms: Pick<Rooms, 'event'>,
  userId: UserId,
  row: PusherRow,
  unread: number,
  told: Told | undefined,
): Promise<JsonObject> {
  const { url: _url, ...data } = dataOf(row.pusher)
  const counts = unread === 0 ? {} : { unread }
  const device = {
    app_id: ownValue(row.pusher, 'app_id') ?? '',
    pushkey: ownValue(row.pusher, 'pushkey') ?? '',
    pushkey_ts: Math.floor((row.setAt ?? 0) / 1_000),
    data,
  }
  if (told === undefined) return { notification: { counts, prio: 'low', devices: [device] } }
  const ids = { event_id: told.eventId, room_id: told.roomId }
  if (ownValue(data, 'format') === 'event_id_only')
    return { notification: { ...ids, counts, prio: 'high', devices: [device] } }
  const { type, sender, content, stateKey: target } = told
  return {
    notification: {
      ...ids,
      type,
      sender,
      content,
      ...(await namesOf(rooms, told.state, sender)),
      ...(type === 'm.room.member' && target === userId ? { user_is_target: true } : {}),
      counts,
      prio: 'high',
      devices: [{ ...device, tweaks: tweaksOf(told.actions) }],
    },
  }
}

function tweaksOf(actions: Told['actions']): JsonObject {
  const tweaks = actions.flatMap((action) => {
    const name = typeof action === 'string' ? undefined : ownValue(action, 'set_tweak')
    // A highlight without a value is one. spec: client-server-api/modules/push.md "Tweaks"
    const isHighlight = name === 'highlight'
    const value = typeof action === 'string' ? undefined : ownValue(action, 'value')
    return typeof name === 'string' ? [[name, value ?? (isHighlight ? true : '')] as const] : []
  })
  return Object.fromEntries(tweaks)
}

async function namesOf(
  rooms: Pick<Rooms, 'event'>,
  state: StateMap | undefined,
  sender: UserId,
): Promise<JsonObject> {
  if (state === undefined) return {}
  const textAt = async (key: StateKey, field: string): Promise<string | undefined> => {
    const id = state.get(key)
    const record = id === undefined ? undefined : await rooms.event(id)
    const value = record === undefined ? undefined : ownValue(record.pdu.content, field)
    return typeof value === 'string' ? value : undefined
  }
  const name = await textAt(stateKey('m.room.name', ''), 'name')
  const alias = await textAt(stateKey('m.room.canonical_alias', ''), 'alias')
  const displayName = await textAt(memberKey(sender), 'displayname')
  return {
    ...(name === undefined ? {} : { room_name: name }),
    ...(alias === undefined ? {} : { room_alias: alias }),
    ...(displayName === undefined ? {} : { sender_display_name: displayName }),
  }
}
