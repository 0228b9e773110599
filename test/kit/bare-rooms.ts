/** Nodes reduced to rooms, outbox and staging, joined by a federation that calls the other side directly. */
import { webcrypto } from 'node:crypto'
import type { EventId, RoomId, ServerName, UserId } from '@plexus/core'
import { CarrierError } from '@plexus/engine/ports'
import type { Clock, Federation, Log, Store } from '@plexus/engine/ports'
import {
  createCommitter,
  createInbound,
  createOutbox,
  createRooms,
  createVerifier,
} from '@plexus/engine/testing'
import type { Inbound, Invites, OutboxOwner, Rooms, Staging } from '@plexus/engine/testing'
import { createMemoryStore } from '@plexus/store/memory'
import { testSigner } from './keys.ts'

export type BareNode = {
  readonly name: ServerName
  readonly user: UserId
  readonly rooms: Rooms
  readonly invites: Invites
  readonly staging: Staging
  readonly inbound: Inbound
  readonly outbox: OutboxOwner
  readonly store: Store
  /** Calls that this node's federation made, `<method> <destination>`. */
  readonly calls: string[]
}

export type BareNetwork = {
  readonly nodes: Map<ServerName, BareNode>
  readonly offline: Set<ServerName>
  /** On a memory store unless one is given. */
  add(localpart: string, store?: Store): Promise<BareNode>
  /** Runs until nothing is on its way anywhere. */
  settle(): Promise<void>
}

const silent: Log = { log: () => undefined }

/** Timers run when `settle` finds nothing else to do, in order of their time. */
function createManualClock(): Clock & { fire(): boolean } {
  let now = 1_700_000_000_000
  const timers = new Set<{ at: number; run: () => void }>()
  return {
    now: () => (now += 1),
    after(ms, run) {
      const timer = { at: now + ms, run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    fire() {
      const [first] = [...timers].sort((a, b) => a.at - b.at)
      if (first === undefined) return false
      timers.delete(first)
      now = Math.max(now, first.at)
      first.run()
      return true
    },
  }
}

export function createBareNetwork(): BareNetwork {
  const nodes = new Map<ServerName, BareNode>()
  const offline = new Set<ServerName>()
  const clock = createManualClock()

  const settle = async (): Promise<void> => {
    for (let round = 0; round < 3; round += 1) {
      for (const { outbox, staging } of nodes.values()) {
        await outbox.idle()
        await staging.idle()
      }
    }
  }

  return {
    nodes,
    offline,
    settle,
    async add(localpart, given) {
      const signer = testSigner(nodes.size + 1)
      const { name } = signer
      const store = given ?? (await createMemoryStore())
      const committer = await createCommitter(store)
      const calls: string[] = []
      const federation = directFederation(name, nodes, offline, calls)
      const verifier = createVerifier(webcrypto.subtle)
      const random = { bytes: (length: number) => webcrypto.getRandomValues(new Uint8Array(length)) }
      const base = {
        store,
        committer,
        federation,
        clock,
        random,
        log: silent,
        signer,
        verifier,
        ownName: name,
      }
      const outbox = await createOutbox(base)
      const parts = createRooms({ ...base, destinations: outbox.destinations, onJoined: () => undefined })
      const inbound = createInbound({ ...base, staging: parts.staging, handlers: new Map() })
      const node = { name, user: `@${localpart}:${name}` as UserId, ...parts, inbound, outbox, store, calls }
      nodes.set(name, node)
      return node
    },
  }
}

function directFederation(
  own: ServerName,
  nodes: ReadonlyMap<ServerName, BareNode>,
  offline: ReadonlySet<ServerName>,
  calls: string[],
): Federation {
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
    sendTransaction: async (to, { pdus, edus }) =>
      peer('send', to).inbound.transaction({ origin: own, pdus: copy(pdus), edus: copy(edus) }),
    makeMembership: async (kind, to, roomId, userId, versions) =>
      copy(await peer(`make_${kind}`, to).rooms.makeMembership(kind, own, roomId, userId, versions)),
    sendJoin: async (to, roomId, id, event) =>
      copy(await peer('send_join', to).rooms.acceptMembership('join', own, roomId, id, copy(event))),
    sendLeave: async (to, roomId, id, event) => {
      await peer('send_leave', to).rooms.acceptMembership('leave', own, roomId, id, copy(event))
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
    stateIds: unused,
    profile: unused,
    directory: unused,
    userDevices: unused,
    queryKeys: unused,
    claimKeys: unused,
    downloadMedia: unused,
  }
}
