/**
 * A node that takes a room's events from another server. Runs in Node and in a worker of a browser: of the platform it
 * needs WebCrypto and timers only.
 */
import type { EventId, JsonObject, ServerName, UserId } from '@plexus/core'
import { nameOfKey } from '@plexus/core/names'
import { createEngine, createSigner, createVerifier, type Engine } from '@plexus/engine'
import { CarrierError } from '@plexus/engine/ports'
import type { Clock, Federation, Signer, Store } from '@plexus/engine/ports'
import { createMemoryBlobs } from '@plexus/store/blobs-memory'
import { createMemoryStore } from '@plexus/store/memory'
import { createRoomWriter } from './room-writer.ts'

/** Events of one transaction. spec: server-server-api.md "Transactions" */
const BATCH = 50

const clock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

export type Receiver = {
  /** Bytes of one event as JSON. */
  readonly eventBytes: number
  /** Events per second of one run over `count` events, from their check to their commit. */
  run(count: number): Promise<number>
  close(): Promise<void>
}

type Peer = {
  readonly author: Engine
  /** Writes so many events of the peer's room, and takes them in; answers when the last is decided and committed. */
  readonly write: (count: number) => Promise<readonly JsonObject[]>
  readonly receive: (pdus: readonly JsonObject[]) => Promise<void>
}

/** A node on `store` that has joined a room of each of `peers` other servers. */
export async function createReceiver(store: Store, peers = 1): Promise<Receiver> {
  const own = await makeSigner()
  const authors = new Map<ServerName, Engine>()
  const receiver = await makeEngine(own, store, joinThrough(own, authors))
  const all: Peer[] = []
  while (all.length < peers) all.push(await createPeer(receiver, authors))

  const run = async (count: number): Promise<number> => {
    const written: (readonly [Peer, readonly JsonObject[]])[] = []
    for (const peer of all) written.push([peer, await peer.write(count / peers)])
    const start = performance.now()
    await Promise.all(written.map(([peer, pdus]) => peer.receive(pdus)))
    return (count / (performance.now() - start)) * 1_000
  }

  const samples: JsonObject[] = []
  for (const peer of all) {
    const sample = await peer.write(1)
    await peer.receive(sample)
    samples.push(...sample)
  }
  return {
    eventBytes: JSON.stringify(samples[0]).length,
    run,
    async close() {
      for (const { author } of all) await author.close()
      await receiver.close()
    },
  }
}

async function createPeer(receiver: Engine, authors: Map<ServerName, Engine>): Promise<Peer> {
  const signer = await makeSigner()
  const author = await makeEngine(signer, await createMemoryStore(), {})
  authors.set(signer.name, author)
  const sender = `@author:${signer.name}` as UserId
  const roomId = await author.rooms.create({
    creator: sender,
    initialState: [
      { type: 'm.room.member', stateKey: sender, content: { membership: 'join' } },
      { type: 'm.room.power_levels', stateKey: '', content: { users: {} } },
      { type: 'm.room.join_rules', stateKey: '', content: { join_rule: 'public' } },
    ],
  })
  const user = `@receiver:${receiver.serverName}` as UserId
  await receiver.rooms.join(user, roomId, { via: [signer.name] })
  await receiver.idle()
  const next = await createRoomWriter(author, signer, { roomId, sender })
  let last: EventId | undefined
  return {
    author,
    async write(count) {
      const written = await next(count)
      last = written.at(-1)?.id
      // What came over a network shares no object with anybody.
      return JSON.parse(JSON.stringify(written.map(({ pdu }) => pdu))) as JsonObject[]
    },
    /** One transaction after the other, as a sender does. */
    async receive(pdus) {
      for (let start = 0; start < pdus.length; start += BATCH) {
        const batch = pdus.slice(start, start + BATCH)
        await receiver.inbound.transaction({ origin: signer.name, pdus: batch, edus: [] })
      }
      await receiver.idle()
      const heads = (await receiver.rooms.snapshot(roomId))?.heads ?? []
      if (heads.length !== 1 || heads[0] !== last) throw new Error('not every event was taken')
    },
  }
}

export async function makeSigner(): Promise<Signer> {
  const { publicKey, privateKey } = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])
  const name = nameOfKey(new Uint8Array(await crypto.subtle.exportKey('raw', publicKey)))
  return createSigner(crypto.subtle, { name, keyId: 'ed25519:0', privateKey })
}

/** A node whose other servers answer `calls` and no other. */
export function makeEngine(signer: Signer, store: Store, calls: Partial<Federation>): Promise<Engine> {
  const away = async (): Promise<never> => {
    throw new CarrierError('unreachable', 'nobody is there')
  }
  const federation = new Proxy(calls as Federation, {
    get: (known, name: keyof Federation) => known[name] ?? away,
  })
  return createEngine({
    store,
    blobs: createMemoryBlobs(),
    federation: () => federation,
    directory: {
      learn: async () => undefined,
      own: async () => [],
      find: async () => undefined,
      findAlias: async () => undefined,
      findListing: async () => undefined,
      publish: async () => undefined,
    },
    signer,
    verifier: createVerifier(crypto.subtle),
    clock,
    random: { bytes: (length) => crypto.getRandomValues(new Uint8Array(length)) },
    log: { log: () => undefined },
  })
}

/** The calls of a join reach the resident server. */
function joinThrough(own: Signer, residents: ReadonlyMap<ServerName, Engine>): Partial<Federation> {
  const at = (name: ServerName): Engine => {
    const resident = residents.get(name)
    if (resident === undefined) throw new CarrierError('unreachable', 'nobody is there')
    return resident
  }
  return {
    makeMembership: async (kind, to, roomId, userId, versions) =>
      at(to).rooms.makeMembership(kind, own.name, roomId, userId, versions),
    sendJoin: async (to, roomId, id, event) =>
      structuredClone(await at(to).rooms.acceptMembership('join', own.name, roomId, id, event)),
  }
}
