/** What other servers cost: events of twenty at once, and one message to two hundred. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  buildEvent,
  encodeBase64,
  eventIdOf,
  signingBytes,
  withSignature,
  type EventId,
  type JsonObject,
  type KeyId,
  type RoomId,
  type UserId,
} from '@plexus/core'
import type { Engine } from '@plexus/engine'
import type { Carrier } from '@plexus/engine/ports'
import { createFederation } from '@plexus/server-api'
import { openSqliteStore } from '@plexus/store/sqlite'
import { verifyRate } from './baselines.ts'
import { figure, type Figure } from './figures.ts'
import { VERSION } from './made-room.ts'
import { createReceiver, makeEngine, makeSigner } from './receiver.ts'
import type { Section } from './section.ts'

const PEERS = 20
const EVENTS = 1_000
const DESTINATIONS = 200

export const federation: Section = {
  name: 'federation',
  inNode: true,
  async run({ quick, note }) {
    const folder = await mkdtemp(join(tmpdir(), 'plexus-bench-'))
    const runs = quick ? 2 : 8
    try {
      const figures: Figure[] = []
      for (const peers of [1, PEERS]) {
        const store = await openSqliteStore(join(folder, `${peers}.sqlite`))
        figures.push(await receivedFrom(await createReceiver(store, peers), peers, runs))
        note(`${peers} peers`)
      }
      const store = await openSqliteStore(join(folder, 'sender.sqlite'))
      figures.push(...(await sentTo(store, quick ? 5 : 30)))
      const checks: number[] = []
      while (checks.length < runs) checks.push(await verifyRate(1_000))
      return [...figures, figure({ name: 'baseline: Ed25519 checks in Node', unit: '/s', values: checks })]
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
}

async function receivedFrom(
  receiver: Awaited<ReturnType<typeof createReceiver>>,
  peers: number,
  runs: number,
): Promise<Figure> {
  // The first run is the compiler's.
  await receiver.run(EVENTS)
  const values: number[] = []
  while (values.length < runs) values.push(await receiver.run(EVENTS))
  await receiver.close()
  return figure({
    name: `inbound PDUs from ${peers} peer${peers === 1 ? '' : 's'} into SQLite`,
    unit: '/s',
    values,
    aims: [{ of: 'median', limit: 1_500 }],
    note: `${receiver.eventBytes} bytes each, at most 50 a transaction, a room for each peer`,
  })
}

/** Messages of one member to the servers of two hundred others, until each has answered. */
async function sentTo(
  store: Awaited<ReturnType<typeof openSqliteStore>>,
  messages: number,
): Promise<readonly Figure[]> {
  const signer = await makeSigner()
  const encoder = new TextEncoder()
  let bytes = 0
  // What the joins make others hear goes together, when all are there.
  const allJoined = Promise.withResolvers<undefined>()
  const carrier: Carrier = {
    send: async (request) => {
      await allJoined.promise
      const body = encoder.encode('{"pdus":{}}')
      bytes += encoder.encode(JSON.stringify(request)).length + body.length
      return { status: 200, contentType: 'application/json', body }
    },
  }
  const clock = { now: () => Date.now(), after: () => () => undefined }
  const outward = createFederation(
    { carrier, signer, clock },
    { incarnation: Buffer.alloc(16, 1).toString('base64url') },
  )
  const sender = await makeEngine(signer, store, {
    sendTransaction: (...sent) => outward.sendTransaction(...sent),
  })
  const user = `@sender:${signer.name}` as UserId
  const roomId = await sender.rooms.create({
    creator: user,
    initialState: [
      { type: 'm.room.member', stateKey: user, content: { membership: 'join' } },
      { type: 'm.room.join_rules', stateKey: '', content: { join_rule: 'public' } },
    ],
  })
  for (let index = 0; index < DESTINATIONS; index += 1) await joinOther(sender, roomId)
  allJoined.resolve(undefined)
  await sender.idle()
  const [times, sizes]: [number[], number[]] = [[], []]
  while (times.length < messages) {
    bytes = 0
    const start = performance.now()
    const content = { msgtype: 'm.text', body: 'x'.repeat(440) }
    await sender.rooms.send(roomId, { type: 'm.room.message', sender: user, content })
    await sender.idle()
    times.push(performance.now() - start)
    sizes.push(bytes / DESTINATIONS)
  }
  await sender.close()
  return [
    figure({
      name: `a message to ${DESTINATIONS} destinations`,
      unit: 'ms',
      values: times,
      note: 'from the client until all have answered and that is committed; two signatures for each',
    }),
    figure({
      name: 'a message for each destination',
      unit: 'B',
      values: sizes,
      note: 'request, envelope and answer as JSON; the text has 440 letters',
    }),
  ]
}

/** A user of a server of its own joins. */
async function joinOther(resident: Engine, roomId: RoomId): Promise<void> {
  const signer = await makeSigner()
  const user = `@member:${signer.name}` as UserId
  const { event } = await resident.rooms.makeMembership('join', signer.name, roomId, user, [VERSION.id])
  const unsigned = buildEvent(VERSION, {
    template: { type: 'm.room.member', sender: user, stateKey: user, content: { membership: 'join' } },
    roomId,
    prevEvents: (event['prev_events'] as EventId[]).map((reference) => ({ reference, depth: 1 })),
    authEvents: event['auth_events'] as EventId[],
    now: Date.now(),
  })
  const signature = encodeBase64(await signer.sign(signingBytes(VERSION, unsigned)))
  const join: JsonObject = withSignature(unsigned, signer.name, signer.keyId as KeyId, signature)
  const id = eventIdOf(VERSION, join as never)
  await resident.rooms.acceptMembership('join', signer.name, roomId, id, join)
}
