/**
 * Nodes reduced to rooms, outbox and staging, joined by a federation that calls the other side directly. Nothing in them waits
 * for the platform and chance is seeded, so that each run is the same.
 */
import type { EventId, RoomId, ServerName, UserId } from '@plexus/core'
import type { EduHandler, EngineInit } from '@plexus/engine'
import { RoomError } from '@plexus/engine'
import { CarrierError, FederationError } from '@plexus/engine/ports'
import type { Clock, Federation, Log, Signer, Store, Verifier } from '@plexus/engine/ports'
import {
  createCommitter,
  createInbound,
  createOutbox,
  createRooms,
  createServerKeys,
} from '@plexus/engine/testing'
import type {
  Committer,
  Completion,
  Inbound,
  LinkInvites,
  OutboxOwner,
  Rooms,
  ServerKeysOwner,
  Staging,
} from '@plexus/engine/testing'
import { createMemoryStore } from '@plexus/store/memory'
import { createTestVerifier, testSigner } from './keys.ts'
import { createSeededRandom } from './seeded-random.ts'
import { settled } from './virtual-clock.ts'

export type BareNode = {
  readonly name: ServerName
  readonly user: UserId
  readonly rooms: Rooms
  readonly links: LinkInvites
  readonly staging: Staging
  readonly completion: Completion
  readonly inbound: Inbound
  readonly outbox: OutboxOwner
  readonly committer: Committer
  readonly store: Store
  readonly signer: Signer
  readonly keys: ServerKeysOwner
  /** Calls that this node's federation made, `<method> <destination>`. */
  readonly calls: string[]
}

export type BareInit = {
  /** A memory store of its own unless given. */
  readonly store?: Store
  /** The name of an earlier node, whose place this one takes. */
  readonly seed?: number
  /** Of a node with another name than a bare key. */
  readonly signer?: Signer
  readonly handlers?: ReadonlyMap<string, EduHandler>
  readonly seekUser?: () => Promise<void>
  readonly fanOut?: EngineInit['fanOut']
}

export type BareNetwork = {
  readonly nodes: Map<ServerName, BareNode>
  readonly offline: Set<ServerName>
  /** Calls to these servers that are answered otherwise. */
  readonly cheats: Map<ServerName, Partial<Federation>>
  readonly clock: ManualClock
  /** What the nodes warned of. */
  readonly complaints: string[]
  add(localpart: string, init?: Store | BareInit): Promise<BareNode>
  /** Runs until nothing is on its way anywhere. Timers stay where they are. */
  settle(): Promise<void>
  /** Lets `ms` pass, settling after each timer. */
  pass(ms: number): Promise<void>
}

export interface ManualClock extends Clock {
  /** Goes to the next timer, if it is due until then, and runs it. */
  fire(until: number): boolean
  /** Timers that wait. */
  readonly waiting: number
}

function createManualClock(): ManualClock {
  let now = 1_700_000_000_000
  const timers = new Set<{ at: number; run: () => void }>()
  return {
    now: () => (now += 1),
    after(ms, run) {
      const timer = { at: now + ms, run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    fire(until) {
      let first: { at: number; run: () => void } | undefined
      for (const timer of timers) if (first === undefined || timer.at < first.at) first = timer
      if (first === undefined || first.at > until) {
        now = Math.max(now, until)
        return false
      }
      timers.delete(first)
      now = Math.max(now, first.at)
      first.run()
      return true
    },
    get waiting() {
      return timers.size
    },
  }
}

/** Takes a turn of the event loop, as one of the platform does. */
function createPatientVerifier(): Verifier {
  const verifier = createTestVerifier()
  return { verify: async (checks) => settled().then(() => verifier.verify(checks)) }
}

export function createBareNetwork(): BareNetwork {
  const nodes = new Map<ServerName, BareNode>()
  const offline = new Set<ServerName>()
  const cheats = new Map<ServerName, Partial<Federation>>()
  const clock = createManualClock()
  const complaints: string[] = []
  let added = 0
  const log: Log = {
    log(level, message, fields) {
      if (level === 'warn' || level === 'error')
        complaints.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`)
    },
  }

  const settle = async (): Promise<void> => {
    for (let round = 0; round < 3; round += 1) {
      for (const { outbox, staging, completion, keys } of nodes.values()) {
        await keys.idle()
        await outbox.idle()
        await staging.idle()
        await completion.idle()
      }
    }
  }

  return {
    nodes,
    offline,
    cheats,
    clock,
    complaints,
    settle,
    async pass(ms) {
      const until = clock.now() + ms
      await settle()
      while (clock.fire(until)) await settle()
    },
    async add(localpart, given = {}) {
      const init: BareInit = 'commit' in given ? { store: given } : given
      const signer = init.signer ?? testSigner(init.seed ?? nodes.size + 1)
      const { name } = signer
      const store = init.store ?? (await createMemoryStore())
      const committer = await createCommitter(store)
      const calls: string[] = []
      const federation = directFederation(name, { nodes, offline, cheats, calls })
      const verifier = createPatientVerifier()
      const random = createSeededRandom((added += 1))
      const ports = { store, committer, federation, clock, random, log, signer, verifier }
      const keys = createServerKeys(ports)
      const base = { ...ports, keys, ownName: name }
      const outbox = await createOutbox({
        ...base,
        rooms: () => parts.rooms,
        staging: () => parts.staging,
        fanOut: init.fanOut,
      })
      const parts = createRooms({
        ...base,
        destinations: outbox.destinations,
        services: { accepted: () => [], invited: () => [] },
        seekUser: init.seekUser ?? (() => Promise.resolve()),
        onJoined: () => undefined,
        blocksInvites: async () => false,
      })
      const handlers = new Map<string, EduHandler>(init.handlers)
      const inbound = createInbound({
        ...base,
        staging: parts.staging,
        heads: outbox.heads,
        isPlaced: async (id) => (await parts.rooms.event(id))?.stateGroup !== undefined,
        versionOf: async (roomId) => (await parts.rooms.snapshot(roomId))?.version,
        taken: (origin, taken) => outbox.taken(origin, taken),
        handlers: handlers.set('plexus.gossip', outbox.gossip.edu(handlers)),
        received: (origin, received) => outbox.outbox.received(origin, received),
      })
      const node = {
        name,
        user: `@${localpart}:${name}` as UserId,
        ...parts,
        inbound,
        outbox,
        committer,
        store,
        signer,
        keys,
        calls,
      }
      nodes.set(name, node)
      return node
    },
  }
}

/** What the other side throws arrives as an error answer. */
function refusal(error: unknown): never {
  if (error instanceof CarrierError) throw error
  const errcode = error instanceof RoomError ? error.errcode : 'M_UNKNOWN'
  const statuses: Readonly<Record<string, number>> = {
    M_FORBIDDEN: 403,
    M_NOT_FOUND: 404,
    M_LIMIT_EXCEEDED: 429,
    M_UNKNOWN: 500,
  }
  const message = error instanceof Error ? error.message : String(error)
  throw new FederationError({ status: statuses[errcode] ?? 400, errcode, error: message })
}

type Wires = Pick<BareNetwork, 'nodes' | 'offline' | 'cheats'> & { readonly calls: string[] }

function directFederation(own: ServerName, wires: Wires): Federation {
  const honest = honestFederation(own, wires)
  const cheating = (method: keyof Federation, args: readonly unknown[]): unknown => {
    const to = args[method === 'makeMembership' ? 1 : 0] as ServerName
    const cheat = wires.cheats.get(to)?.[method] as ((...given: readonly unknown[]) => unknown) | undefined
    if (cheat === undefined) {
      const call = honest[method] as (...given: readonly unknown[]) => Promise<unknown>
      return call(...args).catch(refusal)
    }
    wires.calls.push(`${method} ${to}`)
    return cheat(...args)
  }
  return Object.fromEntries(
    Object.keys(honest).map((method) => [
      method,
      async (...args: readonly unknown[]) => cheating(method as keyof Federation, args),
    ]),
  ) as unknown as Federation
}

function honestFederation(own: ServerName, { nodes, offline, calls }: Wires): Federation {
  const peer = (method: string, name: ServerName): BareNode => {
    calls.push(`${method} ${name}`)
    const node = nodes.get(name)
    if (node === undefined || offline.has(name) || offline.has(own))
      throw new CarrierError('unreachable', 'offline')
    return node
  }
  const unused = (): never => {
    throw new Error('not part of this test')
  }
  const copy = <T>(value: T): T => structuredClone(value)
  return {
    sendTransaction: async (to, { pdus, edus, heads, taken, sequence, acknowledged = 0 }) =>
      peer('send', to).inbound.transaction({
        origin: own,
        pdus: copy(pdus),
        edus: copy(edus),
        ...(heads === undefined ? {} : { heads }),
        ...(taken === undefined ? {} : { taken }),
        ...(sequence === undefined ? {} : { ordered: { incarnation: own, sequence, acknowledged } }),
      }),
    encloseTransaction: unused,
    makeMembership: async (kind, to, roomId, userId, versions) =>
      copy(await peer(`make_${kind}`, to).rooms.makeMembership(kind, own, roomId, userId, versions)),
    sendJoin: async (to, roomId, id, event) =>
      copy(
        await peer('send_join', to).rooms.acceptMembership('join', own, roomId, id, copy(event), {
          omitMembers: true,
        }),
      ),
    sendLeave: async (to, roomId, id, event) => {
      await peer('send_leave', to).rooms.acceptMembership('leave', own, roomId, id, copy(event))
    },
    sendKnock: async (to, roomId, id, event) => {
      const { state } = await peer('send_knock', to).rooms.acceptMembership(
        'knock',
        own,
        roomId,
        id,
        copy(event),
      )
      return { roomState: copy(state) }
    },
    invite: async (to, roomId, id, invite) =>
      copy(await peer('invite', to).rooms.acceptInvite(own, roomId, id, copy(invite))),
    exchangeThirdPartyInvite: async (to, roomId, event) =>
      peer('exchange', to).rooms.exchangeThirdPartyInvite(own, roomId, copy(event)),
    getMissingEvents: async (to, roomId, query) => ({
      events: copy(await peer('get_missing_events', to).rooms.missingEvents(own, roomId, query)),
    }),
    backfill: async (to, roomId: RoomId, from: readonly EventId[], limit) => ({
      pdus: copy(await peer('backfill', to).rooms.backfillFor(own, roomId, from, limit)),
    }),
    event: async (to, id) => ({ pdus: [copy(await peer('event', to).rooms.eventFor(own, id))] }),
    state: async (to, roomId, id) => {
      const { state, authChain } = await peer('state', to).rooms.stateFor(own, roomId, id)
      return { pdus: copy(state), authChain: copy(authChain) }
    },
    stateIds: async (to, roomId, id) => {
      const told = await peer('state_ids', to).rooms.stateFor(own, roomId, id)
      const { stateIds: pduIds, authChainIds, isUnconfirmed } = told
      return { pduIds, authChainIds, ...(isUnconfirmed === undefined ? {} : { isUnconfirmed }) }
    },
    signByPolicy: unused,
    publicRooms: unused,
    hierarchy: unused,
    timestampToEvent: unused,
    profile: unused,
    directory: unused,
    userDevices: unused,
    queryKeys: unused,
    claimKeys: unused,
    downloadMedia: unused,
    serverKeys: async (to) => copy(await peer('server_keys', to).keys.own()),
    notaryKeys: unused,
  }
}
