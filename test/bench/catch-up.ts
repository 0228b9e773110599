/**
 * What a server takes in after it was away: the same events from the same Plexus node, over HTTPS in transactions of 50, into a
 * Plexus node and into Synapse, each a process with SQLite.
 */
import { startServers, type Homeserver } from '../interop/synapse/homeserver.ts'
import { installSynapse } from '../interop/synapse/install.ts'
import { createRoom, join, person, reads, say } from '../interop/synapse/person.ts'
import { figure, type Figure } from './figures.ts'
import type { Section } from './section.ts'

const VERSION = '12'
const EVENTS = 300
/** Messages under way at once, which makes forks that one event can join. */
const AT_ONCE = 8

export const catchUp: Section = {
  name: 'catch-up',
  inNode: true,
  async run({ quick, note }) {
    const python = installSynapse()
    const kinds = ['plexus', 'plexus', ...(python === undefined ? [] : (['synapse'] as const))] as const
    const started = await startServers(kinds, python ?? '')
    try {
      const [sender, ...receivers] = started.servers
      if (sender === undefined) throw new Error('no server was started')
      const rates = new Map<Homeserver['kind'], number[]>(receivers.map(({ kind }) => [kind, []]))
      for (let run = 0; run < (quick ? 1 : 3); run += 1)
        for (const receiver of receivers) {
          const rate = await catchUpOnce(sender, receiver, run)
          note(`${receiver.kind}: ${rate.toFixed(0)} events a second`)
          rates.get(receiver.kind)?.push(rate)
        }
      return figures(rates)
    } finally {
      await started.stop()
    }
  },
}

function figures(rates: ReadonlyMap<Homeserver['kind'], readonly number[]>): readonly Figure[] {
  const [plexus = [], synapse] = [rates.get('plexus'), rates.get('synapse')]
  const note = 'sent by a Plexus node over HTTPS, 50 a transaction, until the last is readable'
  const own = figure({ name: 'catching up by a Plexus node', unit: '/s', values: plexus, note })
  if (synapse === undefined) return [own]
  const theirs = figure({ name: 'baseline: catching up by Synapse', unit: '/s', values: synapse, note })
  const ratio = own.median / theirs.median
  return [own, theirs, figure({ name: 'Synapse takes this many times as long', unit: 'x', values: [ratio] })]
}

/** Events per second. */
async function catchUpOnce(sender: Homeserver, receiver: Homeserver, run: number): Promise<number> {
  const author = await person(sender, `author-${receiver.kind}-${run}`)
  const reader = await person(receiver, `reader-${run}`)
  const roomId = await createRoom(author, VERSION)
  await join(reader, roomId, [author])
  await receiver.stop()
  for (let sent = 0; sent < EVENTS; sent += AT_ONCE)
    await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => say(author, roomId, `${sent + at}`)))
  const last = await say(author, roomId, 'last')
  await receiver.start()
  const start = performance.now()
  // A Plexus node greets whom it knows; of Synapse others hear when somebody there says something.
  await say(reader, roomId, 'back')
  await reads(reader, roomId, last)
  return (EVENTS / (performance.now() - start)) * 1_000
}
