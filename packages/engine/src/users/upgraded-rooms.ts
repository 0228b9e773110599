/** What a user set for a room goes on in the one that replaces it. spec: modules/room_upgrades.md "Server behaviour" */
import { isJsonObject, ownValue, parseRoomId, stateKey } from '@plexus/core'
import type { JsonObject, RoomId, UserId } from '@plexus/core'
import type { RoomSnapshot, Rooms } from '../rooms/types.ts'
import { stringAt } from './read.ts'
import type { AccountData, PushRules, UpgradedRooms } from './types.ts'

const TAGS_TYPE = 'm.tag'

export function createUpgradedRooms(
  rooms: () => Rooms,
  accountData: AccountData,
  pushRules: PushRules,
): UpgradedRooms {
  return {
    async joined(snapshot, userId) {
      const from = await replacedBy(rooms(), snapshot, userId)
      if (from === undefined) return
      const { roomId: to } = snapshot
      await copyRules(pushRules, userId, from, to)
      const tags = await accountData.get(userId, from, TAGS_TYPE)
      if (tags !== undefined)
        await accountData.update(userId, to, TAGS_TYPE, (old) => (old === undefined ? tags : undefined))
    },
  }
}

/** The predecessor that says so itself, or that the user names: anybody can name a room that others like. */
async function replacedBy(
  rooms: Rooms,
  { roomId, create }: RoomSnapshot,
  userId: UserId,
): Promise<RoomId | undefined> {
  const predecessor = ownValue(create.content, 'predecessor')
  const from = parseRoomId((isJsonObject(predecessor) ? stringAt(predecessor, 'room_id') : undefined) ?? '')
  if (from === undefined || create.sender === userId) return from
  const old = await rooms.snapshot(from)
  const [tombstone] =
    old === undefined ? [] : await rooms.stateEvents(old.state, [stateKey('m.room.tombstone', '')])
  return tombstone !== undefined && stringAt(tombstone.pdu.content, 'replacement_room') === roomId
    ? from
    : undefined
}

/** The rule for the room, and the override with its name by which clients mute it. */
async function copyRules(pushRules: PushRules, userId: UserId, from: RoomId, to: RoomId): Promise<void> {
  const rules = await pushRules.ruleset(userId)
  for (const kind of ['room', 'override'] as const) {
    const old = rules[kind].find(({ rule_id: id }) => id === from)
    if (old === undefined || rules[kind].some(({ rule_id: id }) => id === to)) continue
    const { actions, conditions = [], enabled } = old
    await pushRules.put(userId, kind, to, {
      actions,
      conditions: conditions.map((one) => moved(one, from, to)),
    })
    if (!enabled) await pushRules.setEnabled(userId, kind, to, false)
  }
}

function moved(condition: JsonObject, from: RoomId, to: RoomId): JsonObject {
  return condition['key'] === 'room_id' && condition['pattern'] === from
    ? { ...condition, pattern: to }
    : condition
}
