/** State resolution after a fork: what two servers did to a room while they could not reach each other. */
import { resolve, type StateMap } from '@plexus/core'
import { figure, type Figure, type FigureInit } from './figures.ts'
import { makeRoom, memberName, membership, stateOf, VERSION, type Line, type MadeRoom } from './made-room.ts'
import type { Section } from './section.ts'

const LARGEST = 10_000
const CONFLICTED = [100, 1_000, LARGEST] as const
const AIM = { of: 'median', limit: 1_000 } as const
const SERVER = 'a.example'

export const resolveSection: Section = {
  name: 'resolve',
  inNode: true,
  async run({ quick, note }) {
    const runs = quick ? 2 : 15
    const figures: Figure[] = []
    const measure = (name: string, { room, sides }: Fork, more: Pick<FigureInit, 'aims' | 'note'>): void => {
      // The first run is the compiler's.
      once(room, sides)
      const values: number[] = []
      while (values.length < runs) values.push(once(room, sides))
      figures.push(figure({ name, unit: 'ms', values, ...more }))
      note(name)
    }
    for (const count of CONFLICTED) {
      measure(`resolving a fork of ${count.toLocaleString('en')} events`, fork(count), {
        aims: count === LARGEST ? [AIM] : [],
        note: 'half of them notes; kicks and bans against profiles and leaves; power levels now and then',
      })
    }
    measure('resolving 10,000 power levels in a row', row(LARGEST), {
      aims: [AIM],
      note: 'one place in conflict: all but the last come in by the auth chains',
    })
    figures.push(baseline(runs))
    return figures
  },
}

type Fork = { readonly room: MadeRoom; readonly sides: readonly StateMap[] }

function once(room: MadeRoom, sides: readonly StateMap[]): number {
  const start = performance.now()
  const result = resolve(VERSION, sides, room.events)
  const ms = performance.now() - start
  if (result.kind === 'need') throw new Error('events are missing')
  return ms
}

/** A fork with `count` events in conflict, half on each side. */
function fork(count: number): Fork {
  const each = count / 2
  const room = makeRoom(each, SERVER)
  const side = (name: string, powerful: boolean): Line => {
    let line = room.base
    for (let index = 0; index < each; index += 1) {
      const target = memberName(index, SERVER)
      const content = { note: `${name} ${index}` }
      if (index % 50 === 0) {
        line = room.add(
          line,
          stateOf(room.creator, 'm.room.power_levels', '', { users: {}, kick: index % 49 }),
        )
      } else if (index % 2 === 0)
        line = room.add(line, stateOf(room.creator, 'com.example.note', `${index}`, content))
      else if (powerful) {
        const action = index % 4 === 1 ? 'leave' : 'ban'
        line = room.add(line, membership(room.creator, target, { membership: action }))
      } else {
        const action = index % 4 === 1 ? 'join' : 'leave'
        line = room.add(line, membership(target, target, { membership: action, displayname: name }))
      }
    }
    return line
  }
  return { room, sides: [side('left', true).state, side('right', false).state] }
}

/** A side that changed the power levels so many times, against one that did nothing of the kind. */
function row(count: number): Fork {
  const room = makeRoom(10, SERVER)
  let line = room.base
  for (let index = 0; index < count; index += 1) {
    line = room.add(line, stateOf(room.creator, 'm.room.power_levels', '', { users: {}, kick: index % 49 }))
  }
  const other = room.add(room.base, stateOf(room.creator, 'm.room.topic', '', { topic: 'x' }))
  return { room, sides: [line.state, other.state] }
}

/** What the platform takes for as many strings of an id's length as the largest fork has. */
function baseline(runs: number): Figure {
  const ids = Array.from({ length: 10_000 }, (_, index) => `$${String(index * 7_919).padStart(43, 'x')}`)
  const values: number[] = []
  while (values.length < runs) {
    const start = performance.now()
    const sorted = ids.toSorted()
    const places = new Map(sorted.map((id, index) => [id, index]))
    if (places.size !== ids.length) throw new Error('ids are doubled')
    values.push(performance.now() - start)
  }
  return figure({ name: 'baseline: sorting and mapping 10,000 ids', unit: 'ms', values })
}
