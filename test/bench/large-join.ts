/** Joining a room of many members through another Plexus node: when it is there, and when all its members are. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { UserId } from '@plexus/core'
import { NO_SYNC_FILTER, parseSyncFilter, type Engine } from '@plexus/engine'
import type { Federation } from '@plexus/engine/ports'
import { openSqliteStore } from '@plexus/store/sqlite'
import { createBigNode, type BigNode } from './big-node.ts'
import { figure, type Figure } from './figures.ts'
import { makeEngine, makeSigner } from './receiver.ts'
import type { Section } from './section.ts'

const MEMBERS = 10_000
const SERVERS = 200

type Joined = { readonly shownMs: number; readonly wholeMs: number }

export const largeJoin: Section = {
  name: 'large-join',
  inNode: true,
  async run({ quick, note }) {
    const folder = await mkdtemp(join(tmpdir(), 'plexus-bench-'))
    const members = quick ? MEMBERS / 10 : MEMBERS
    const runs = quick ? 1 : 3
    let stores = 0
    const newStore = () => openSqliteStore(join(folder, `${(stores += 1)}.sqlite`))
    try {
      const resident = await createBigNode(members, await newStore(), undefined, SERVERS)
      note(`${members} members on ${SERVERS} servers`)
      const once = async (omitMembers: boolean): Promise<Joined> => {
        const joined = await joinOnce(resident, omitMembers, await newStore())
        note(`${omitMembers ? 'without members' : 'whole'}: ${JSON.stringify(joined)}`)
        return joined
      }
      // The first run is the compiler's.
      await once(true)
      const partial: Joined[] = []
      const whole: Joined[] = []
      while (partial.length < runs) {
        partial.push(await once(true))
        whole.push(await once(false))
      }
      await resident.close()
      return figures(members, partial, whole)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
}

function figures(members: number, partial: readonly Joined[], whole: readonly Joined[]): readonly Figure[] {
  const of = `a room of ${members.toLocaleString('en')} members`
  const shown = (joined: readonly Joined[]): readonly number[] => joined.map(({ shownMs }) => shownMs)
  return [
    figure({
      name: `${of} is shown by sync`,
      unit: 'ms',
      values: shown(partial),
      aims: [{ of: 'median', limit: 2_000 }],
      note: 'both nodes and their SQLite stores in one process, no network between them',
    }),
    figure({
      name: `${of} is complete`,
      unit: 'ms',
      values: partial.map(({ wholeMs }) => wholeMs),
      aims: [{ of: 'median', limit: 15_000 }],
      note: 'every event of its state fetched, checked and kept',
    }),
    figure({ name: `baseline: ${of}, told whole, is shown by sync`, unit: 'ms', values: shown(whole) }),
  ]
}

async function joinOnce(
  resident: BigNode,
  omitMembers: boolean,
  store: Awaited<ReturnType<typeof openSqliteStore>>,
): Promise<Joined> {
  const signer = await makeSigner()
  const user = `@joiner:${signer.name}` as UserId
  const engine = await makeEngine(signer, store, callsOf(signer.name, resident.engine, omitMembers))
  const { roomId } = resident
  const start = performance.now()
  await engine.rooms.join(user, roomId, { via: [resident.engine.serverName] })
  await showRoom(engine, user, roomId)
  const shownMs = performance.now() - start
  while (!(await engine.rooms.whole(roomId)));
  const wholeMs = performance.now() - start
  const [own, theirs] = [await engine.rooms.snapshot(roomId), await resident.engine.rooms.snapshot(roomId)]
  if (own?.joinedMembers.length !== theirs?.joinedMembers.length) throw new Error('members are missing')
  await engine.close()
  return { shownMs: Math.round(shownMs), wholeMs: Math.round(wholeMs) }
}

/** @throws when a first sync of a client that loads members as it needs them does not show the room. */
async function showRoom(engine: Engine, userId: UserId, roomId: string): Promise<void> {
  const answer = await engine.sync.sync({
    recipient: { userId, deviceId: 'BENCH' },
    filter: lazily,
    fullState: false,
    stateKind: 'state',
    timeoutMs: 0,
  })
  if (!JSON.stringify(answer).includes(roomId)) throw new Error('the room is not shown')
}

const lazily = parseSyncFilter({ room: { state: { lazy_load_members: true } } }) ?? NO_SYNC_FILTER

/** The calls of a join reach the resident server, as JSON. */
function callsOf(
  own: Engine['serverName'],
  { rooms, serverName, inbound }: Engine,
  omitMembers: boolean,
): Partial<Federation> {
  const wire = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T
  const to = (server: string): void => {
    if (server !== serverName) throw new Error('nobody is there')
  }
  return {
    makeMembership: async (kind, _to, roomId, userId, versions) =>
      wire(await rooms.makeMembership(kind, own, roomId, userId, versions)),
    sendJoin: async (_to, roomId, id, event) =>
      wire(await rooms.acceptMembership('join', own, roomId, id, wire(event), { omitMembers })),
    sendTransaction: async (server, { pdus }) => {
      to(server)
      return inbound.transaction({ origin: own, pdus: wire(pdus), edus: [] })
    },
    event: async (server, id) => {
      to(server)
      return { pdus: [wire(await rooms.eventFor(own, id))] }
    },
    stateIds: async (server, roomId, id) => {
      to(server)
      const { stateIds: pduIds, authChainIds } = await rooms.stateFor(own, roomId, id)
      return { pduIds, authChainIds }
    },
    state: async (server, roomId, id) => {
      to(server)
      const { state, authChain } = await rooms.stateFor(own, roomId, id)
      return wire({ pdus: state, authChain })
    },
  }
}
