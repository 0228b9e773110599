/** The server-default rules. spec: client-server-api/modules/push.md "Predefined Rules" */
import type { JsonObject, UserId } from '@plexus/core'
import type { PushRule, PushRuleset } from './types.ts'

const SOUND: JsonObject = { set_tweak: 'sound', value: 'default' }
const RING: JsonObject = { set_tweak: 'sound', value: 'ring' }
const HIGHLIGHT: JsonObject = { set_tweak: 'highlight' }

const is = (key: string, pattern: string): JsonObject => ({ kind: 'event_match', key, pattern })
const TWO_MEMBERS: JsonObject = { kind: 'room_member_count', is: '2' }

function rule(
  rule_id: string,
  conditions: readonly JsonObject[],
  actions: PushRule['actions'],
  enabled = true,
): PushRule {
  return { rule_id, default: true, enabled, conditions, actions }
}

/** The rules of a user who has changed none. */
export function defaultRuleset(userId: UserId): PushRuleset {
  return {
    override: [
      rule('.m.rule.master', [], [], false),
      rule('.m.rule.suppress_notices', [is('content.msgtype', 'm.notice')], []),
      rule(
        '.m.rule.invite_for_me',
        [is('type', 'm.room.member'), is('content.membership', 'invite'), is('state_key', userId)],
        ['notify', SOUND],
      ),
      rule('.m.rule.member_event', [is('type', 'm.room.member')], []),
      rule(
        '.m.rule.is_user_mention',
        [{ kind: 'event_property_contains', key: 'content.m\\.mentions.user_ids', value: userId }],
        ['notify', SOUND, HIGHLIGHT],
      ),
      rule(
        '.m.rule.is_room_mention',
        [
          { kind: 'event_property_is', key: 'content.m\\.mentions.room', value: true },
          { kind: 'sender_notification_permission', key: 'room' },
        ],
        ['notify', HIGHLIGHT],
      ),
      rule('.m.rule.tombstone', [is('type', 'm.room.tombstone'), is('state_key', '')], ['notify', HIGHLIGHT]),
      rule('.m.rule.reaction', [is('type', 'm.reaction')], []),
      rule('.m.rule.room.server_acl', [is('type', 'm.room.server_acl'), is('state_key', '')], []),
      rule(
        '.m.rule.suppress_edits',
        [{ kind: 'event_property_is', key: 'content.m\\.relates_to.rel_type', value: 'm.replace' }],
        [],
      ),
    ],
    content: [],
    room: [],
    sender: [],
    underride: [
      rule('.m.rule.call', [is('type', 'm.call.invite')], ['notify', RING]),
      rule(
        '.m.rule.encrypted_room_one_to_one',
        [TWO_MEMBERS, is('type', 'm.room.encrypted')],
        ['notify', SOUND],
      ),
      rule('.m.rule.room_one_to_one', [TWO_MEMBERS, is('type', 'm.room.message')], ['notify', SOUND]),
      rule('.m.rule.message', [is('type', 'm.room.message')], ['notify']),
      rule('.m.rule.encrypted', [is('type', 'm.room.encrypted')], ['notify']),
    ],
  }
}
