import { checkAuth } from '../auth/check-auth.ts'
import type { JsonObject } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { JOIN_RULES_KEY, memberKey, POWER_LEVELS_KEY, stateKey, type StateKey } from '../state.ts'
import { createTestRoom, requireVersion, type TestRoom } from './rooms.ts'

const V12 = requireVersion('12')
/** The creator. */
export const ALICE = '@alice:a'
export const BOB = '@bob:b'
export const CAROL = '@carol:c'
export const DAVE = '@dave:d'

/** A state to check an event against. */
export type Setting = {
  /** Membership by user id. Alice is joined. */
  readonly members?: Readonly<Record<string, string>>
  readonly levels?: JsonObject
  readonly joinRule?: string
  readonly create?: JsonObject
  /** m.room.third_party_invite events by token. */
  readonly tokens?: Readonly<Record<string, { readonly sender: string; readonly content: JsonObject }>>
}

export type Event = {
  readonly type: string
  readonly sender: string
  readonly stateKey?: string | undefined
  readonly content?: JsonObject
  readonly extra?: JsonObject
}

function pduOf(roomId: string, { type, sender, stateKey: key, content = {}, extra = {} }: Event): Pdu {
  return {
    type,
    sender,
    room_id: roomId,
    ...(key === undefined ? {} : { state_key: key }),
    content,
    origin_server_ts: 1,
    depth: 2,
    prev_events: [],
    auth_events: [],
    hashes: { sha256: '' },
    signatures: {},
    ...extra,
  } as unknown as Pdu
}

/** The room that the events are in. */
export const room: TestRoom = createTestRoom()

/** The rule that refuses the event, or 'allowed'. */
export function verdict(setting: Setting, event: Event, version: RoomVersion = V12): string {
  const { roomId, create } = createTestRoom({ version, content: setting.create ?? {} })
  const state = new Map<StateKey, Pdu>()
  for (const [user, membership] of Object.entries({ [ALICE]: 'join', ...setting.members })) {
    state.set(
      memberKey(user),
      pduOf(roomId, { type: 'm.room.member', sender: user, stateKey: user, content: { membership } }),
    )
  }
  if (setting.levels !== undefined) {
    state.set(
      POWER_LEVELS_KEY,
      pduOf(roomId, { type: 'm.room.power_levels', sender: ALICE, content: setting.levels }),
    )
  }
  if (setting.joinRule !== undefined) {
    const content = { join_rule: setting.joinRule }
    state.set(JOIN_RULES_KEY, pduOf(roomId, { type: 'm.room.join_rules', sender: ALICE, content }))
  }
  for (const [token, invite] of Object.entries(setting.tokens ?? {})) {
    const type = 'm.room.third_party_invite'
    state.set(stateKey(type, token), pduOf(roomId, { type, ...invite }))
  }
  const failure = checkAuth(version, pduOf(roomId, event), {
    create: create.pdu,
    get: (key) => state.get(key),
  })
  return failure === undefined ? 'allowed' : failure.rule.replace(`v${version.id} auth `, '')
}

export const membership = (sender: string, target: string, to: string, content: JsonObject = {}): Event => ({
  type: 'm.room.member',
  sender,
  stateKey: target,
  content: { membership: to, ...content },
})
export const send = (sender: string, type = 'm.room.message', content: JsonObject = {}): Event => ({
  type,
  sender,
  content,
})
export const set = (sender: string, type: string, content: JsonObject = {}, key = ''): Event => ({
  type,
  sender,
  stateKey: key,
  content,
})
export const joined: Readonly<Record<string, string>> = { [BOB]: 'join', [CAROL]: 'join' }

export type Case = readonly [expected: string, about: string, setting: Setting, event: Event]
