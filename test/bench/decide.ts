/** What one more event costs in rooms of few and of many members. */
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decide, type EventTemplate } from '@plexus/core'
import { createMemoryStore } from '@plexus/store/memory'
import { createBigNode, type BigNode } from './big-node.ts'
import { figure, type Figure } from './figures.ts'
import { makeRoom, memberName, messageOf, stateOf, VERSION, type MadeRoom } from './made-room.ts'
import type { Section, SectionContext } from './section.ts'

const SIZES = [10, 1_000, 50_000] as const
const SERVER = 'a.example'
const BATCH = 50
const MOST_MEGABYTES = 100

export const decideSection: Section = {
  name: 'decide',
  inNode: true,
  async run(context) {
    return [...decideAlone(context), ...(await decideInNode(context)), ...(await stateMemory(context))]
  },
}

const named = (what: string, members: number): string => `${what}, ${members.toLocaleString('en')} members`
const median = (figures: readonly Figure[], name: string): number =>
  figures.find((each) => each.name === name)?.median ?? Number.NaN

/** How many times more an event costs in the largest room than in the smallest. */
function growth(figures: readonly Figure[], what: string): Figure {
  const value = median(figures, named(what, 50_000)) / median(figures, named(what, 10))
  return figure({
    name: `${what}: 50,000 members against 10`,
    unit: 'x',
    values: [value],
    aims: [{ of: 'median', limit: 2 }],
  })
}

function decideAlone({ quick, note }: SectionContext): readonly Figure[] {
  const runs = quick ? 3 : 40
  const kinds: readonly (readonly [string, (room: MadeRoom) => EventTemplate])[] = [
    ['decide a message', () => messageOf(memberName(3, SERVER), 'hello')],
    ['decide a topic', (room) => stateOf(room.creator, 'm.room.topic', '', { topic: 'x' })],
  ]
  const figures: Figure[] = []
  const rooms = SIZES.map((members) => ({ members, room: makeRoom(members, SERVER) }))
  note('the rooms are made')
  for (const [what, template] of kinds) {
    const all = rooms.map(({ members, room }) => ({
      name: named(what, members),
      once: decider(room, template(room)),
    }))
    for (const { once } of all) for (let index = 0; index < 2_000; index += 1) once()
    const values = all.map((): number[] => [])
    // In turn, so that what else the machine does meets all of them.
    for (let run = 0; run < runs; run += 1) {
      all.forEach(({ once }, index) => values[index]?.push(timed(500, once)))
    }
    all.forEach(({ name }, index) => figures.push(figure({ name, unit: 'ms', values: values[index] ?? [] })))
    figures.push(growth(figures, what))
  }
  return figures
}

function decider(room: MadeRoom, template: EventTemplate): () => void {
  const event = room.build(room.base, template)
  const { state } = room.base
  const { roomId, events: view } = room
  const input = { version: VERSION, roomId, event, view, stateAfter: () => state, currentState: state }
  return () => {
    const decision = decide(input)
    if (decision.kind !== 'accept') throw new Error(`not accepted: ${JSON.stringify(decision)}`)
  }
}

function timed(count: number, once: () => void): number {
  const start = performance.now()
  for (let index = 0; index < count; index += 1) once()
  return (performance.now() - start) / count
}

/** The whole way in a node: from the request to the commit, with a store in memory. */
async function decideInNode({ quick, note }: SectionContext): Promise<readonly Figure[]> {
  const runs = quick ? 2 : 15
  const nodes: (readonly [number, BigNode])[] = []
  for (const members of SIZES) {
    nodes.push([members, await createBigNode(members, await createMemoryStore())])
    note(`a node is in a room of ${members} members`)
  }
  const figures: Figure[] = []
  const kinds: readonly (readonly [string, (node: BigNode) => Promise<number>])[] = [
    ['send a message', (node) => node.send(BATCH)],
    ['receive a message', (node) => node.receive(BATCH)],
  ]
  for (const [what, once] of kinds) {
    const values = nodes.map((): number[] => [])
    for (let run = -2; run < runs; run += 1) {
      for (const [index, [, node]] of nodes.entries()) {
        const ms = await once(node)
        // The first runs are the compiler's.
        if (run >= 0) values[index]?.push(ms / BATCH)
      }
    }
    nodes.forEach(([members], index) =>
      figures.push(figure({ name: named(what, members), unit: 'ms', values: values[index] ?? [] })),
    )
    figures.push(growth(figures, what))
  }
  for (const [, node] of nodes) await node.close()
  return figures
}

/** In a process of its own, where nothing else is in the heap. */
async function stateMemory({ quick, note }: SectionContext): Promise<readonly Figure[]> {
  const members = quick ? 1_000 : 50_000
  const program = fileURLToPath(new URL('state-memory.ts', import.meta.url))
  const folder = await mkdtemp(join(tmpdir(), 'plexus-bench-'))
  const run = (...args: readonly string[]): string =>
    execFileSync(process.execPath, [...process.execArgv, '--expose-gc', program, ...args], {
      encoding: 'utf8',
    })
  try {
    run('fill', folder, String(members))
    note(`a room of ${members} members is on disk`)
    const { loaded, used } = JSON.parse(run('read', folder)) as Readonly<Record<'loaded' | 'used', number>>
    const aims = [{ of: 'median', limit: MOST_MEGABYTES }] as const
    return [
      figure({
        name: named('heap of a room read from disk', members),
        unit: 'MB',
        values: [loaded / 1e6],
        aims,
        note: 'state, members and servers, and the events that stay cached; after collection, in a process of its own',
      }),
      figure({ name: named('the same after a message', members), unit: 'MB', values: [used / 1e6], aims }),
    ]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
