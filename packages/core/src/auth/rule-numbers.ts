/**
 * The numbers that the authorisation rules have in each room version's own list. A rule without a number is none of that
 * version. spec: rooms/v1.md to rooms/v12.md "Authorisation rules"
 */
export type RuleName =
  | 'create.prevEvents'
  | 'create.roomId'
  | 'create.version'
  | 'create.creator'
  | 'create.additionalCreators'
  | 'room'
  | 'authEvents.duplicate'
  | 'authEvents.stray'
  | 'authEvents.rejected'
  | 'authEvents.noCreate'
  | 'authEvents.otherRoom'
  | 'federate'
  | 'aliases.stateKey'
  | 'aliases.domain'
  | 'member.shape'
  | 'member.authoriserSignature'
  | 'member.unknown'
  | 'join.sender'
  | 'join.banned'
  | 'join.authoriser'
  | 'join.otherwise'
  | 'thirdParty.banned'
  | 'thirdParty.signed'
  | 'thirdParty.fields'
  | 'thirdParty.mxid'
  | 'thirdParty.event'
  | 'thirdParty.sender'
  | 'thirdParty.otherwise'
  | 'invite.sender'
  | 'invite.target'
  | 'invite.otherwise'
  | 'leave.own'
  | 'leave.sender'
  | 'leave.unban'
  | 'leave.otherwise'
  | 'ban.sender'
  | 'ban.otherwise'
  | 'knock.joinRule'
  | 'knock.sender'
  | 'knock.otherwise'
  | 'senderJoined'
  | 'thirdPartyInvite'
  | 'requiredLevel'
  | 'ownStateKey'
  | 'powerLevels.properties'
  | 'powerLevels.maps'
  | 'powerLevels.users'
  | 'powerLevels.creators'
  | 'powerLevels.propertyFrom'
  | 'powerLevels.propertyTo'
  | 'powerLevels.entryFrom'
  | 'powerLevels.entryTo'
  | 'powerLevels.userFrom'
  | 'powerLevels.userTo'
  | 'redaction'

export type RuleNumbers = { readonly [name in RuleName]?: string }

function except(rules: RuleNumbers, ...names: readonly RuleName[]): RuleNumbers {
  return Object.fromEntries(Object.entries(rules).filter(([name]) => !names.some((gone) => gone === name)))
}

function authEvents(rule: number): RuleNumbers {
  return {
    'authEvents.duplicate': `${rule}.1`,
    'authEvents.stray': `${rule}.2`,
    'authEvents.rejected': `${rule}.3`,
    'authEvents.otherRoom': `${rule}.5`,
  }
}

/** Where the memberships stand in the rule about m.room.member, and what stands in the one about joining. */
type MemberRules = {
  readonly join: number
  readonly invite: number
  readonly leave: number
  readonly ban: number
  readonly joinOtherwise: number
}

function member(rule: number, { join, invite, leave, ban, joinOtherwise }: MemberRules): RuleNumbers {
  return {
    'member.shape': `${rule}.1`,
    'join.sender': `${rule}.${join}.2`,
    'join.banned': `${rule}.${join}.3`,
    'join.otherwise': `${rule}.${join}.${joinOtherwise}`,
    'thirdParty.banned': `${rule}.${invite}.1.1`,
    'thirdParty.signed': `${rule}.${invite}.1.2`,
    'thirdParty.fields': `${rule}.${invite}.1.3`,
    'thirdParty.mxid': `${rule}.${invite}.1.4`,
    'thirdParty.event': `${rule}.${invite}.1.5`,
    'thirdParty.sender': `${rule}.${invite}.1.6`,
    'thirdParty.otherwise': `${rule}.${invite}.1.8`,
    'invite.sender': `${rule}.${invite}.2`,
    'invite.target': `${rule}.${invite}.3`,
    'invite.otherwise': `${rule}.${invite}.5`,
    'leave.own': `${rule}.${leave}.1`,
    'leave.sender': `${rule}.${leave}.2`,
    'leave.unban': `${rule}.${leave}.3`,
    'leave.otherwise': `${rule}.${leave}.5`,
    'ban.sender': `${rule}.${ban}.1`,
    'ban.otherwise': `${rule}.${ban}.3`,
  }
}

function knock(rule: number, place: number): RuleNumbers {
  return {
    'knock.joinRule': `${rule}.${place}.1`,
    'knock.sender': `${rule}.${place}.2`,
    'knock.otherwise': `${rule}.${place}.4`,
    'member.unknown': `${rule}.${place + 1}`,
  }
}

function afterMember(rule: number): RuleNumbers {
  return {
    senderJoined: `${rule + 1}`,
    thirdPartyInvite: `${rule + 2}.1`,
    requiredLevel: `${rule + 3}`,
    ownStateKey: `${rule + 4}`,
  }
}

/** Those that compare the old with the new. `first` is the place of the first of them. */
function levelChanges(rule: number, first: number): RuleNumbers {
  return {
    'powerLevels.propertyFrom': `${rule}.${first}.1`,
    'powerLevels.propertyTo': `${rule}.${first}.2`,
    'powerLevels.entryFrom': `${rule}.${first + 1}.1`,
    'powerLevels.entryTo': `${rule}.${first + 2}.1`,
    'powerLevels.userFrom': `${rule}.${first + 3}.1`,
    'powerLevels.userTo': `${rule}.${first + 4}.1`,
  }
}

const FIRST_MEMBER: MemberRules = { join: 2, invite: 3, leave: 4, ban: 5, joinOtherwise: 6 }
const RESTRICTED_MEMBER: MemberRules = { join: 3, invite: 4, leave: 5, ban: 6, joinOtherwise: 7 }

export const V1_RULES: RuleNumbers = {
  'create.prevEvents': '1.1',
  'create.roomId': '1.2',
  'create.version': '1.3',
  'create.creator': '1.4',
  ...authEvents(2),
  'authEvents.noCreate': '2.4',
  federate: '3',
  'aliases.stateKey': '4.1',
  'aliases.domain': '4.2',
  ...member(5, FIRST_MEMBER),
  'member.unknown': '5.6',
  ...afterMember(5),
  'powerLevels.users': '10.1',
  ...levelChanges(10, 3),
  redaction: '11.3',
}

export const V3_RULES: RuleNumbers = except(V1_RULES, 'redaction')

export const V6_RULES: RuleNumbers = {
  ...except(V3_RULES, 'aliases.stateKey', 'aliases.domain'),
  ...member(4, FIRST_MEMBER),
  'member.unknown': '4.6',
  ...afterMember(4),
  'powerLevels.users': '9.1',
  ...levelChanges(9, 3),
}

export const V7_RULES: RuleNumbers = { ...V6_RULES, ...knock(4, 6) }

export const V8_RULES: RuleNumbers = {
  ...V7_RULES,
  ...member(4, RESTRICTED_MEMBER),
  'member.authoriserSignature': '4.2.1',
  'join.authoriser': '4.3.5.2',
  ...knock(4, 7),
}

export const V10_RULES: RuleNumbers = {
  ...V8_RULES,
  'powerLevels.properties': '9.1',
  'powerLevels.maps': '9.2',
  'powerLevels.users': '9.3',
  ...levelChanges(9, 5),
}

export const V11_RULES: RuleNumbers = except(V10_RULES, 'create.creator')

export const V12_RULES: RuleNumbers = {
  ...except(V11_RULES, 'authEvents.noCreate'),
  'create.additionalCreators': '1.4',
  room: '2',
  ...authEvents(3),
  federate: '4',
  ...member(5, RESTRICTED_MEMBER),
  'member.authoriserSignature': '5.2.1',
  'join.authoriser': '5.3.5.2',
  ...knock(5, 7),
  ...afterMember(5),
  'powerLevels.properties': '10.1',
  'powerLevels.maps': '10.2',
  'powerLevels.users': '10.3',
  'powerLevels.creators': '10.4',
  ...levelChanges(10, 6),
}
