/**
 * A room that was entered by the word of one member, or of some that told different states, since no others were there:
 * they are asked later, and what two tell alike takes the place of what was believed. DESIGN section 4
 */
import type { ServerName, StateMap } from '@plexus/core'
import { claimGroup } from './claims.ts'
import { stateBefore, type RoomCopy } from './copy.ts'
import { partialRooms, type PartialRecord, type Unconfirmed } from './records.ts'
import type { Room, Turn } from './room.ts'
import {
  MAX_SECOND_MEMBERS,
  othersIn,
  standing,
  wordOf,
  type Compared,
  type Entry,
  type SecondMemberDeps,
} from './second-member.ts'
import type { StateGroup, StateGroups } from './state-groups.ts'
import type { EventRecord } from './types.ts'
import { LONE_WORD_AFTER_MS, MAX_TELLERS, MAX_TRIES_FOR_OTHERS } from './words.ts'

/** Servers that are remembered, to be asked. */
export const MAX_OTHERS = 50
/** How long others are asked, from the join on: then what was believed stands. */
export const MAX_UNCONFIRMED_MS: number = 30 * 86_400_000
/** How long one server may take to tell the state. */
const MAX_TELLING_MS = 60_000

export type UnconfirmedRecord = PartialRecord & { readonly unconfirmed: Unconfirmed }

type GroupWrites = ReturnType<StateGroups['create']>['writes']

/** What to remember of a state that was not confirmed, and the writes that keep what was told. */
export function unconfirmedOf(
  deps: Pick<SecondMemberDeps, 'groups' | 'clock'>,
  { words, others }: NonNullable<Compared['unconfirmed']>,
): { readonly unconfirmed: Unconfirmed; readonly writes: GroupWrites } {
  const now = deps.clock.now()
  const told = [...words].map(([server, state]) => ({ server, ...claimGroup(deps, state) }))
  return {
    unconfirmed: {
      since: now,
      heardAt: now,
      words: told.map(({ server, group }) => [server, group.id]),
      others: others.slice(0, MAX_OTHERS),
    },
    writes: told.flatMap(({ writes }) => writes),
  }
}

/**
 * The state before the join that stands now. `tries` counts the attempts before: others are asked each time; those
 * that `appeared` first, and all of them. @throws while none stands.
 */
export async function confirmedState(
  deps: SecondMemberDeps,
  room: Room,
  mark: UnconfirmedRecord,
  { tries, appeared }: { readonly tries: number; readonly appeared: readonly ServerName[] },
): Promise<StateGroup> {
  const { clock, groups } = deps
  const [join] = await deps.events.working([mark.join])
  if (join === undefined) throw new Error('the own join is missing')
  if (Math.abs(clock.now() - mark.unconfirmed.since) > MAX_UNCONFIRMED_MS)
    return keep(deps, await enteredState(deps, join))
  let look = mark.unconfirmed
  for (const server of toAsk(look, tries, appeared)) {
    const agreed = alikeIn(look)
    if (agreed !== undefined) return groups.load(agreed)
    if (look.words.length >= MAX_TELLERS) break
    look = await ask(deps, room, { mark, look, join }, server)
  }
  const agreed = alikeIn(look)
  if (agreed !== undefined) return groups.load(agreed)
  if (!isOver(look, clock.now(), tries)) throw new Error('no two members told the same')
  const words = new Map<ServerName, StateMap>()
  for (const [server, group] of look.words) words.set(server, (await groups.load(group)).state)
  return keep(deps, await standing(deps, room, words))
}

/** The state that the room was entered with. */
export async function enteredState(
  { groups }: Pick<SecondMemberDeps, 'groups'>,
  join: EventRecord,
): Promise<StateMap> {
  if (join.stateGroup === undefined) throw new Error('the own join has no state')
  return stateBefore(join, (await groups.load(join.stateGroup)).state)
}

async function keep(deps: SecondMemberDeps, state: StateMap): Promise<StateGroup> {
  const { group, writes } = claimGroup(deps, state)
  await deps.committer.submit({ writes: () => writes })
  return group
}

function toAsk(
  { others }: Unconfirmed,
  tries: number,
  appeared: readonly ServerName[],
): readonly ServerName[] {
  const start = others.length === 0 ? 0 : (tries * MAX_SECOND_MEMBERS) % others.length
  const here = appeared.filter((name) => others.includes(name))
  const turned = [...others.slice(start), ...others.slice(0, start)]
  return [...new Set([...here, ...turned])].slice(0, Math.max(MAX_SECOND_MEMBERS, here.length))
}

function alikeIn({ words }: Unconfirmed): string | undefined {
  const groups = words.map(([, group]) => group)
  return groups.find((group, index) => groups.indexOf(group) !== index)
}

/** Members told different states, and no other is likely to tell. */
function isOver({ words, others, heardAt }: Unconfirmed, now: number, tries: number): boolean {
  if (words.length < 2) return false
  const wereAsked = tries * MAX_SECOND_MEMBERS >= Math.min(others.length, MAX_TRIES_FOR_OTHERS)
  const isLate = wereAsked && Math.abs(now - heardAt) >= LONE_WORD_AFTER_MS
  return others.length === 0 || words.length >= MAX_TELLERS || isLate
}

type Looking = { readonly mark: PartialRecord; readonly look: Unconfirmed; readonly join: EventRecord }

/** What is known with the word of one more server, if it tells. */
async function ask(
  deps: SecondMemberDeps,
  room: Room,
  { mark, look, join }: Looking,
  server: ServerName,
): Promise<Unconfirmed> {
  const event = { id: join.id, pdu: join.pdu, contentHashOk: true }
  const entry: Entry = { room, server, join: event, via: [] }
  let state: StateMap
  try {
    state = await wordOf(deps, entry, server, deps.clock.now() + MAX_TELLING_MS)
  } catch (error) {
    const fields = { roomId: room.roomId, server, error: String(error) }
    deps.log.log('debug', 'another member was asked in vain', fields)
    return look
  }
  const { group, writes } = claimGroup(deps, state)
  const words = [...look.words, [server, group.id] as const]
  const told = new Set(words.map(([name]) => name))
  const named = [...look.others, ...(await othersIn(deps, entry, [state]))]
  const others = [...new Set(named)].filter((name) => !told.has(name)).slice(0, MAX_OTHERS)
  const heard: Unconfirmed = { ...look, heardAt: deps.clock.now(), words, others }
  await note(room, { ...mark, unconfirmed: heard }, writes)
  return heard
}

/** Puts another mark, or none, on a copy; the answer publishes it. The room stays as new as it was: nothing happened there. */
export function remark(
  room: Room,
  turn: Turn,
  copy: RoomCopy,
  partial: PartialRecord | undefined,
): () => void {
  const publish = turn.replace({ ...copy, partial })
  return () => publish(room.snapshot?.lastPosition ?? 0)
}

async function note(room: Room, mark: UnconfirmedRecord, stateWrites: GroupWrites): Promise<void> {
  const { done } = await room.run(async (turn) => {
    if (turn.copy?.partial?.join !== mark.join) throw new Error('the room was entered anew meanwhile')
    const writes = () => [...stateWrites, partialRooms.put([room.roomId], mark)]
    return { done: turn.submit({ writes, publish: remark(room, turn, turn.copy, mark) }) }
  })
  await done
}
