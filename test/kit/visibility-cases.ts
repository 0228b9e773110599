/**
 * Histories of a room that a reader comes into and leaves again, and who may read what of them by the rules of the
 * specification: a model of some lines, against which the answers of a node are held.
 * spec: client-server-api/modules/history_visibility.md
 */
export type HistoryVisibility = 'world_readable' | 'shared' | 'invited' | 'joined'
type Membership = 'join' | 'invite' | 'knock' | 'leave' | 'ban'

/** What the reader does or suffers; `forget` tells the own node that the room is of no interest any more. */
const MEMBERSHIP_AFTER = {
  invite: 'invite',
  knock: 'knock',
  join: 'join',
  leave: 'leave',
  kick: 'leave',
  ban: 'ban',
  unban: 'leave',
} as const
export type Deed = keyof typeof MEMBERSHIP_AFTER
export type Step = 'wait' | 'forget' | Deed | HistoryVisibility

/** After each of its steps a history has a message, a state event and more that tell its number. */
export type History = { readonly visibility: HistoryVisibility; readonly steps: readonly Step[] }

export const VISIBILITIES: readonly HistoryVisibility[] = ['world_readable', 'shared', 'invited', 'joined']

/** Of the reader, from before they had anything to do with the room. */
const LIVES: readonly (readonly Step[])[] = [
  ['wait'],
  ['wait', 'invite'],
  ['wait', 'knock'],
  ['wait', 'knock', 'leave'],
  ['wait', 'knock', 'invite', 'join'],
  ['wait', 'invite', 'leave'],
  ['wait', 'invite', 'kick', 'invite'],
  ['wait', 'ban'],
  ['wait', 'join', 'wait'],
  ['wait', 'invite', 'join', 'leave', 'wait'],
  ['wait', 'join', 'kick', 'wait'],
  ['wait', 'join', 'ban', 'wait'],
  ['wait', 'join', 'ban', 'unban', 'wait'],
  ['wait', 'join', 'leave', 'ban', 'unban'],
  ['wait', 'join', 'leave', 'invite', 'wait'],
  ['wait', 'join', 'leave', 'invite', 'leave'],
  ['wait', 'join', 'leave', 'knock'],
  ['wait', 'join', 'leave', 'wait', 'join', 'wait'],
  ['wait', 'join', 'ban', 'unban', 'invite', 'join'],
  ['wait', 'join', 'leave', 'forget', 'wait'],
  ['wait', 'invite', 'leave', 'forget', 'wait'],
  ['wait', 'join', 'leave', 'forget', 'invite', 'wait'],
]
/** In which the rule changes: what was sent before stays under the old one. */
const CHANGES: readonly History[] = [
  { visibility: 'joined', steps: ['wait', 'shared', 'wait', 'join'] },
  { visibility: 'invited', steps: ['wait', 'invite', 'shared', 'join', 'leave', 'wait', 'join'] },
  { visibility: 'joined', steps: ['wait', 'world_readable', 'joined', 'wait'] },
  { visibility: 'joined', steps: ['wait', 'world_readable', 'joined', 'join'] },
  { visibility: 'world_readable', steps: ['wait', 'joined', 'wait', 'invite'] },
  { visibility: 'shared', steps: ['wait', 'joined', 'wait', 'join', 'shared', 'leave'] },
  { visibility: 'invited', steps: ['wait', 'invite', 'joined', 'invited', 'join'] },
  { visibility: 'joined', steps: ['join', 'leave', 'shared', 'world_readable', 'shared'] },
]

export const HISTORIES: readonly History[] = [
  ...VISIBILITIES.flatMap((visibility) => LIVES.map((steps) => ({ visibility, steps }))),
  ...CHANGES,
]

/** The room at the end of a step. */
type Moment = { readonly visibility: HistoryVisibility; readonly membership: Membership }

export type Sight = {
  readonly membership: Membership
  /** The numbers of the steps whose messages the reader may read. */
  readonly readable: readonly number[]
  /** The step whose state the reader may see, if any: the present one, or the last before they left. */
  readonly state: number | undefined
  /** The latest step of whose state anything may be known, -1 for none. */
  readonly known: number
  readonly isForgotten: boolean
}

function momentsOf({ visibility: first, steps }: History): readonly Moment[] {
  let moment: Moment = { visibility: first, membership: 'leave' }
  return steps.map((step) => {
    if (VISIBILITIES.includes(step as HistoryVisibility))
      moment = { ...moment, visibility: step as HistoryVisibility }
    else if (step in MEMBERSHIP_AFTER) moment = { ...moment, membership: MEMBERSHIP_AFTER[step as Deed] }
    return moment
  })
}

/** What the reader may see once the first `length` steps of a history are done. */
export function sightAfter(history: History, length: number): Sight {
  const done = { ...history, steps: history.steps.slice(0, length) }
  const moments = momentsOf(done)
  const last = moments.at(-1) ?? { visibility: history.visibility, membership: 'leave' }
  const isForgotten =
    done.steps.lastIndexOf('forget') > done.steps.findLastIndex((step) => step in MEMBERSHIP_AFTER)
  /** Somebody who is nothing to the room looks at it as long as all the world may. */
  const isStranger = isForgotten || !done.steps.some((step) => step in MEMBERSHIP_AFTER)
  const lastJoined = isForgotten ? -1 : moments.findLastIndex(({ membership }) => membership === 'join')
  /** The five rules, in their order. */
  const mayRead = ({ visibility, membership }: Moment, index: number): boolean => {
    if (isStranger && last.visibility !== 'world_readable') return false
    if (visibility === 'world_readable') return true
    if (isForgotten) return false
    if (membership === 'join') return true
    if (visibility === 'shared' && lastJoined > index) return true
    return membership === 'invite' && visibility === 'invited'
  }
  const readable = moments.flatMap((moment, index) => (mayRead(moment, index) ? [index] : []))
  const isOpen = last.membership === 'join' || (lastJoined === -1 && last.visibility === 'world_readable')
  const state = isOpen ? length - 1 : lastJoined === -1 ? undefined : lastJoined
  return {
    membership: last.membership,
    readable,
    state,
    known: Math.max(lastJoined, ...readable, isOpen ? length - 1 : -1),
    isForgotten,
  }
}
