/** States to which another implementation resolved random rooms, and rooms in which something that has a name happens. */
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
type Scenario = Room & { readonly name: string; readonly says: string }

function vectors(file: string): unknown {
  const text = readFileSync(new URL(`../../../../test/vectors/${file}`, import.meta.url), 'utf8')
  return JSON.parse(text)
}
const { rooms } = vectors('state-resolution.json') as { readonly rooms: readonly Room[] }
const { rooms: scenarios } = vectors('state-scenarios.json') as { readonly rooms: readonly Scenario[] }

const stateOf = (entries: readonly Entry[]): StateMap =>
  new Map(entries.map(([type, key, id]): [StateKey, EventId] => [stateKey(type, key), id]))

describe.each(['1', '2', '11', '12'])('state resolution of version %s', (version) => {
  const own = rooms.filter((room) => room.version === version)

  it('has rooms to resolve', () => {
    expect(own.length).toBeGreaterThan(5)
    for (const { sets } of own) expect(differingKeys(sets.map(stateOf)).size).toBeGreaterThan(2)
  })

  it.each(own.map((room, index) => [index, room] as const))('of room %s', (_, room) => expectSame(room))
})

describe.each(['1', '2', '11', '12'])('in a room of version %s', (version) => {
  const own = scenarios.filter((room) => room.version === version)

  it.each(own.map((room) => [room.name, room.says, room] as const))('%s: %s', (_name, _says, room) =>
    expectSame(room),
  )
})

describe('proposal 4297', () => {
  const valueOf = (version: string, name: string, type: string): string | undefined => {
    const { events, resolved } =
      scenarios.find((room) => room.version === version && room.name === name) ?? {}
    const [, , id] = resolved?.find(([own]) => own === type) ?? []
    const content = events?.find((event) => event.id === id)?.pdu.content
    return content === undefined ? undefined : JSON.stringify(content)
  }

  it('is told apart from version 2 by the scenarios', () => {
    const rule = (version: string): string | undefined =>
      valueOf(version, 'problem A of proposal 4297', 'm.room.join_rules')
    expect(rule('12')).toContain('public')
    expect(rule('11')).toBeUndefined()
    const levels = (version: string): string | undefined =>
      valueOf(version, 'problem B of proposal 4297', 'm.room.power_levels')
    expect(levels('12')).toContain('@carol:c')
    expect(levels('11')).not.toContain('@carol:c')
  })
})

function expectSame({ version, events, sets, resolved }: Room): void {
  const view = createKnownEvents()
  for (const { id, pdu, rejected } of events)
    view.add({ id, pdu, verdict: rejected ? 'rejected' : 'accepted' })
  const resolution = resolve(requireVersion(version), sets.map(stateOf), view)
  if (resolution.kind === 'need') throw new Error('the vector lacks events')
  expect(stateText(resolution.state)).toEqual(stateText(stateOf(resolved)))
}
