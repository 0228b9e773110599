/** The history visibility at events of fetched history, of which no state is known here. */
import type { RoomId, StateKey } from '@plexus/core'
import { stateKey } from '@plexus/core'
import { stateBefore } from './copy.ts'
import type { EventStore } from './event-store.ts'
import { LOWEST_ORDER } from './read.ts'
import type { StateGroups } from './state-groups.ts'
import type { EventRecord, Rooms } from './types.ts'

export const VISIBILITY_KEY: StateKey = stateKey('m.room.history_visibility', '')
/** Events before one that are looked through for what held there. */
const MAX_VISIBILITY_SCAN = 1_000
const PAGE = 100

export type PastDeps = Pick<Rooms, 'timeline'> & {
  readonly events: EventStore
  readonly groups: StateGroups
}

/**
 * True for a visibility that hides nothing from a server that has a member in the room now. What is not set, or not
 * understood, is `shared`. spec: client-server-api/modules/history_visibility.md
 */
export function isForMembers(event: EventRecord | undefined): boolean {
  const visibility = event?.pdu.content['history_visibility']
  return visibility !== 'joined' && visibility !== 'invited'
}

/** For one request: `isForMembers` of what held at an event of fetched history; false where that is not known. */
export function createPastVisibility(deps: PastDeps, roomId: RoomId): (order: number) => Promise<boolean> {
  /** What was found holds for all events above `bottom`, up to `top`. */
  let known: { readonly top: number; readonly bottom: number; readonly isOpen: boolean } | undefined

  const scan = async (top: number): Promise<NonNullable<typeof known>> => {
    let to = top - 1
    for (let scanned = 0; scanned < MAX_VISIBILITY_SCAN; scanned += PAGE) {
      const page = await deps.timeline(roomId, { from: LOWEST_ORDER, to, direction: 'b', limit: PAGE })
      const found = page.events.find(isVisibility)
      if (found?.order !== undefined) return { top, bottom: found.order, isOpen: isForMembers(found) }
      // Others may follow nothing as well, whoever made them.
      const isWhole = page.events.some(({ pdu }) => pdu.type === 'm.room.create')
      if (isWhole) return { top, bottom: -Infinity, isOpen: true }
      if (page.next === undefined) break
      to = page.next
    }
    return { top, bottom: -Infinity, isOpen: false }
  }

  return async (order) => {
    const first = await atJoin(deps, roomId)
    // It lies before all that was fetched, or before this event at least.
    if (first?.order === undefined || first.order < order) return isForMembers(first)
    if (known === undefined || order > known.top || order <= known.bottom) known = await scan(order)
    return known.isOpen
  }
}

/** What held when this node first had a member in the room. */
async function atJoin(
  { timeline, events, groups }: PastDeps,
  roomId: RoomId,
): Promise<EventRecord | undefined> {
  const range = { from: 0, to: -LOWEST_ORDER, direction: 'f', limit: 1 } as const
  const [join] = (await timeline(roomId, range)).events
  if (join?.stateGroup === undefined) return undefined
  const id = stateBefore(join, (await groups.load(join.stateGroup)).state).get(VISIBILITY_KEY)
  return id === undefined ? undefined : events.get(id)
}

function isVisibility({ pdu }: EventRecord): boolean {
  return pdu.type === 'm.room.history_visibility' && pdu.state_key === ''
}
