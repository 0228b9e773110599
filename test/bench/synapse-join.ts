/**
 * Joining a room of many members through Synapse, and Synapse joining it through Plexus: each a process of its own, over
 * HTTPS on loopback.
 */
import { list, at, pick } from '../kit/api-client.ts'
import { installSynapse } from '../interop/synapse/install.ts'
import { startServers, type Homeserver } from '../interop/synapse/homeserver.ts'
import { person, type Person } from '../interop/synapse/person.ts'
import { figure, type Figure } from './figures.ts'
import { startMemberServers } from './member-servers.ts'
import { withLimit, type Section } from './section.ts'

const MEMBERS = 10_000
const SERVERS = 20
/** Of one join, to its last member. */
const JOIN_LIMIT_MS = 600_000

type Kind = Homeserver['kind']
/** Who joins through whom. */
type Way = `${Kind} from ${Kind}`
type Joined = { readonly shownMs: number; readonly wholeMs: number }

export const synapseJoin: Section = {
  name: 'synapse-join',
  inNode: true,
  async run({ quick, note }) {
    const python = installSynapse()
    if (python === undefined) return []
    const members = quick ? MEMBERS / 10 : MEMBERS
    const rounds = quick ? 1 : 2
    const joiners = Array.from({ length: rounds }, (): Kind[] => ['synapse', 'plexus', 'plexus']).flat()
    const started = await startServers(['plexus', ...joiners], python)
    const others = await startMemberServers(members, SERVERS, started.tls)
    try {
      const { roomId } = others.room
      const [plexus, ...rest] = started.servers as readonly [Homeserver, ...Homeserver[]]
      const join = async (home: Homeserver, via: string, expected: number): Promise<Joined> => {
        const work = joinOnce(await person(home, 'joiner'), roomId, via, expected)
        return withLimit(work, JOIN_LIMIT_MS, `the join of ${home.kind}`)
      }
      // Besides the members their creator, and whoever joins.
      let present = members + 1
      const first = await join(plexus, others.resident, (present += 1))
      note(`${members} members on ${SERVERS} servers, told whole to Plexus: ${JSON.stringify(first)}`)
      const times = new Map<Way, Joined[]>()
      let synapse = plexus
      for (const [index, home] of rest.entries()) {
        const via = index % 3 === 1 ? synapse : plexus
        if (home.kind === 'synapse') synapse = home
        const joined = await join(home, via.name, (present += 1))
        const way: Way = `${home.kind} from ${via.kind}`
        note(`${way}: ${JSON.stringify(joined)}`)
        times.set(way, [...(times.get(way) ?? []), joined])
      }
      return figures(members, times)
    } finally {
      await started.stop()
      others.close()
    }
  },
}

async function joinOnce(who: Person, roomId: string, via: string, members: number): Promise<Joined> {
  const start = performance.now()
  await who.ok('POST', at`v3/join/${roomId}`, { query: { server_name: via, via }, body: {} })
  const filter = JSON.stringify({ room: { state: { lazy_load_members: true } } })
  for (let since: string | undefined; ;) {
    const sync = await who.ok('GET', 'v3/sync', {
      query: { filter, timeout: '1000', ...(since === undefined ? {} : { since }) },
    })
    if (pick(sync, 'rooms', 'join', roomId) !== undefined) break
    since = sync['next_batch'] as string
  }
  const shownMs = Math.round(performance.now() - start)
  // An answer comes when all members are known, or after a while.
  for (;;) {
    const { status, body } = await who.ask('GET', at`v3/rooms/${roomId}/members`, {
      query: { membership: 'join' },
    })
    if (status === 200 && list(body, 'chunk').length >= members) break
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return { shownMs, wholeMs: Math.round(performance.now() - start) }
}

function figures(members: number, times: ReadonlyMap<Way, readonly Joined[]>): readonly Figure[] {
  const room = `a room of ${members.toLocaleString('en')} members`
  const of = (way: Way, what: keyof Joined): readonly number[] =>
    (times.get(way) ?? []).map((one) => one[what])
  const ours = of('plexus from plexus', 'wholeMs')
  return [
    figure({
      name: `${room} on Synapse is shown by Plexus`,
      unit: 'ms',
      values: of('plexus from synapse', 'shownMs'),
      aims: [{ of: 'median', limit: 2_000 }],
      note: 'processes that speak HTTPS on loopback, SQLite each',
    }),
    figure({
      name: `${room} on Synapse is complete on Plexus`,
      unit: 'ms',
      values: of('plexus from synapse', 'wholeMs'),
      aims: [{ of: 'median', limit: 40_000 }],
    }),
    figure({ name: `${room} on Plexus is complete on Plexus`, unit: 'ms', values: ours }),
    figure({
      name: `baseline: ${room} on Plexus is shown by Synapse`,
      unit: 'ms',
      values: of('synapse from plexus', 'shownMs'),
    }),
    figure({
      name: `baseline: ${room} on Plexus is complete on Synapse`,
      unit: 'ms',
      values: of('synapse from plexus', 'wholeMs'),
    }),
    figure({
      name: 'time to complete, Synapse to Plexus',
      unit: 'x',
      values: of('synapse from plexus', 'wholeMs').map(
        (theirs, index) => theirs / (ours[index] ?? Number.NaN),
      ),
      note: 'the same room, from the same Plexus node; above 1 where Plexus is faster',
    }),
  ]
}
