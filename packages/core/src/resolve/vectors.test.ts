/** States to which another implementation resolved random rooms. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { EventId } from '../ids.ts'
import { createKnownEvents } from '../known-events.ts'
import type { Pdu } from '../pdu.ts'
import { stateKey, type StateKey, type StateMap } from '../state.ts'
import { requireVersion, stateText } from '../testing/rooms.ts'
import { differingKeys } from '../layered-state.ts'
import { resolve } from './resolve.ts'

type Entry = readonly [type: string, key: string, id: EventId]
type Room = {
  readonly version: string
  readonly events: readonly { readonly id: EventId; readonly rejected: boolean; readonly pdu: Pdu }[]
  readonly sets: readonly (readonly Entry[])[]
  readonly resolved: readonly Entry[]
}
const { rooms } = JSON.parse(
  readFileSync(new URL('../../../../test/vectors/state-resolution.json', import.meta.url), 'utf8'),
) as { readonly rooms: readonly Room[] }

const stateOf = (entries: readonly Entry[]): StateMap =>
  new Map(entries.map(([type, key, id]): [StateKey, EventId] => [stateKey(type, key), id]))

describe.each(['1', '2', '11', '12'])('state resolution of version %s', (version) => {
  const own = rooms.filter((room) => room.version === version)

  it('has rooms to resolve', () => {
    expect(own.length).toBeGreaterThan(5)
    for (const { sets } of own) expect(differingKeys(sets.map(stateOf)).size).toBeGreaterThan(2)
  })

  it.each(own.map((room, index) => [index, room] as const))('of room %s', (_, { events, sets, resolved }) => {
    const view = createKnownEvents()
    for (const { id, pdu, rejected } of events)
      view.add({ id, pdu, verdict: rejected ? 'rejected' : 'accepted' })
    const resolution = resolve(requireVersion(version), sets.map(stateOf), view)
    if (resolution.kind === 'need') throw new Error('the vector lacks events')
    expect(stateText(resolution.state)).toEqual(stateText(stateOf(resolved)))
  })
})
