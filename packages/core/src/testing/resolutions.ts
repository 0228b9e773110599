/** What a resolution came to, in tests. */
import type { AuthView } from '../pdu.ts'
import { resolve } from '../resolve/resolve.ts'
import type { RoomVersion } from '../room-version.ts'
import type { StateMap } from '../state.ts'
import { after } from './decisions.ts'
import { requireVersion, stateText, type Made, type TestRoom } from './rooms.ts'

export const V12: RoomVersion = requireVersion('12')

/** @throws when it needs events. */
export function resolved(sets: readonly StateMap[], view: AuthView, version: RoomVersion = V12): StateMap {
  const resolution = resolve(version, sets, view)
  if (resolution.kind === 'need') throw new Error(`needs ${resolution.events.join(' ')}`)
  return resolution.state
}

/** The state that follows from the states after some events. @throws when that depends on their order. */
export function merge(room: TestRoom, ...ends: readonly Made[]): StateMap {
  const sets = ends.map((end) => after(room, end))
  const state = resolved(sets, room.view)
  const text = stateText(state).join('\n')
  const turned = stateText(resolved(sets.toReversed(), room.view)).join('\n')
  if (turned !== text) throw new Error(`the order of the states matters:\n${text}\nor\n${turned}`)
  return state
}
