/**
 * A node that takes a room's events from another server. Runs in Node and in a worker of a browser: of the platform it
 * needs WebCrypto and timers only.
 */
import type { JsonObject, UserId } from '@plexus/core'
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

/** A node on `store` that has joined a room of another server. */
export async function createReceiver(store: Store): Promise<Receiver> {
  const signer = await makeSigner()
  const author = await makeEngine(signer, await createMemoryStore(), {})
  const own = await makeSigner()
  const receiver = await makeEngine(own, store, joinThrough(own, author))
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
  const write = await createRoomWriter(author, signer, { roomId, sender })

  /** One transaction after the other, as a sender does; until the last event is decided and committed. */
  const receive = async (pdus: readonly JsonObject[], last: string | undefined): Promise<void> => {
    for (let start = 0; start < pdus.length; start += BATCH) {
      const batch = pdus.slice(start, start + BATCH)
      await receiver.inbound.transaction({ origin: signer.name, pdus: batch, edus: [] })
    }
    await receiver.idle()
    const heads = (await receiver.rooms.snapshot(roomId))?.heads ?? []
    if (heads.length !== 1 || heads[0] !== last) throw new Error('not every event was taken')
  }
  const run = async (count: number): Promise<number> => {
    const written = await write(count)
    // What came over a network shares no object with anybody.
    const pdus = JSON.parse(JSON.stringify(written.map(({ pdu }) => pdu))) as JsonObject[]
    const start = performance.now()
    await receive(pdus, written.at(-1)?.id)
    return (count / (performance.now() - start)) * 1_000
  }

  const [sample] = await write(1)
  if (sample === undefined) throw new Error('nothing was written')
  await receive([sample.pdu], sample.id)
  return {
    eventBytes: JSON.stringify(sample.pdu).length,
    run,
    async close() {
      await author.close()
      await receiver.close()
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
    directory: { learn: async () => undefined, own: async () => [] },
    signer,
    verifier: createVerifier(crypto.subtle),
    clock,
    random: { bytes: (length) => crypto.getRandomValues(new Uint8Array(length)) },
    log: { log: () => undefined },
  })
}

/** The calls of a join reach the resident server. */
function joinThrough(own: Signer, resident: Engine): Partial<Federation> {
  return {
    makeMembership: async (kind, _to, roomId, userId, versions) =>
      resident.rooms.makeMembership(kind, own.name, roomId, userId, versions),
    sendJoin: async (_to, roomId, id, event) =>
      structuredClone(await resident.rooms.acceptMembership('join', own.name, roomId, id, event)),
  }
}
