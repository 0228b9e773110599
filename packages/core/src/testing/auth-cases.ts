import { checkAuth } from '../auth/check-auth.ts'
import { referenceTo } from '../hash.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { JOIN_RULES_KEY, memberKey, POWER_LEVELS_KEY, stateKey, type StateKey } from '../state.ts'
import { createTestRoom, requireVersion, type TestRoom } from './rooms.ts'

/** The creator. */
export const ALICE = '@alice:a'
export const BOB = '@bob:b'
export const CAROL = '@carol:c'

/** A state to check an event against. The file `test/vectors/auth.json` says what its keys mean. */
export type Setting = {
  readonly members?: Readonly<Record<string, string>>
  readonly levels?: JsonObject
  readonly joinRule?: string
  readonly create?: JsonObject
  readonly tokens?: Readonly<Record<string, { readonly sender: string; readonly content: JsonObject }>>
}

/** What a case says about an event. */
export type Event = JsonObject & { readonly type: string; readonly sender: string }

function pduOf(room: TestRoom, event: Event): Pdu {
  const prev = (event['prev_events'] ?? []) as readonly JsonValue[]
  const whole: JsonObject = {
    room_id: room.roomId,
    content: {},
    origin_server_ts: 1,
    depth: 2,
    auth_events: [],
    hashes: { sha256: '' },
    signatures: {},
    ...event,
    prev_events: prev.map((id) => (id === '$create' ? referenceTo(room.version, room.create) : id)),
  }
  return Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== null)) as Pdu
}

/** The rule that refuses the event, or 'allowed'. */
export function verdict(setting: Setting, event: Event, version: RoomVersion = requireVersion('12')): string {
  const room = createTestRoom({ version, content: setting.create ?? {} })
  const state = new Map<StateKey, Pdu>()
  const put = (key: StateKey, type: string, sender: string, content: JsonObject): void => {
    state.set(key, pduOf(room, { type, sender, content }))
  }
  for (const [user, membership] of Object.entries({ [ALICE]: 'join', ...setting.members })) {
    put(memberKey(user), 'm.room.member', user, { membership })
  }
  if (setting.levels !== undefined) put(POWER_LEVELS_KEY, 'm.room.power_levels', ALICE, setting.levels)
  if (setting.joinRule !== undefined) {
    put(JOIN_RULES_KEY, 'm.room.join_rules', ALICE, { join_rule: setting.joinRule })
  }
  for (const [token, { sender, content }] of Object.entries(setting.tokens ?? {})) {
    put(stateKey('m.room.third_party_invite', token), 'm.room.third_party_invite', sender, content)
  }
  const auth = { create: room.create.pdu, get: (key: StateKey) => state.get(key) }
  const failure = checkAuth(version, pduOf(room, event), auth)
  return failure === undefined ? 'allowed' : failure.rule.replace(`v${version.id} auth `, '')
}

export const membership = (sender: string, target: string, to: string, content: JsonObject = {}): Event => ({
  type: 'm.room.member',
  sender,
  state_key: target,
  content: { membership: to, ...content },
})
