/**
 * SIGKILL of a Node node under load: nothing acknowledged is lost, nothing doubled, of events and of durable EDUs.
 * `CRASH_RUNS=200` kills it as often, `CRASH_SEED` at other moments.
 */
import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import type { EventId, RoomId } from '@plexus/core'
import type { Outbox } from '@plexus/engine'
import type { CarrierResponse, EnvelopedRequest } from '@plexus/engine/ports'
import { CarrierError } from '@plexus/engine/ports'
import { afterEach, describe, expect, it } from 'vitest'
import { testSigner } from '../kit/keys.ts'
import { createLoopback } from '../kit/loopback.ts'
import { createTestNode } from '../kit/node.ts'
import type { FromNode, ToNode } from '../kit/node-process.ts'
import { realClock } from '../kit/real-clock.ts'
import { createSeededRandom } from '../kit/seeded-random.ts'

const ROUNDS = Number(process.env['CRASH_RUNS'] ?? 20)
/** Of a busy machine. */
const MOST_MS_OF_ROUND = 15_000
const SEED = 7
const MOST_EVENTS_BEFORE_KILL = 60

const folder = mkdtempSync(join(tmpdir(), 'plexus-crash-'))
const children: ChildProcess[] = []

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

type Running = {
  readonly child: ChildProcess
  readonly handler: (request: EnvelopedRequest) => Promise<CarrierResponse>
  next<Kind extends FromNode['kind']>(kind: Kind): Promise<Extract<FromNode, { kind: Kind }>>
  tell(message: ToNode): void
}

function start(answer: (request: EnvelopedRequest) => Promise<CarrierResponse | undefined>): Running {
  const child = fork(
    join(import.meta.dirname, '../kit/node-process.ts'),
    [join(folder, 'bob.sqlite'), String(SEED)],
    {
      serialization: 'advanced',
      // Each start compiles the same modules.
      env: { NODE_COMPILE_CACHE: join(folder, 'compiled'), ...process.env },
    },
  )
  children.push(child)
  const waiting = new Map<number, (response: CarrierResponse | undefined) => void>()
  const tell = (message: ToNode): void => {
    // A child that is being killed takes no more; who waits for its answer learns that by its exit.
    if (child.connected) child.send(message, () => undefined)
  }
  let next = 0
  child.on('message', (message: FromNode) => {
    if (message.kind === 'answer') waiting.get(message.id)?.(message.response)
    if (message.kind === 'request') {
      void answer(message.request).then((response) => tell({ kind: 'answer', id: message.id, response }))
    }
  })
  child.once('exit', () => {
    for (const give of waiting.values()) give(undefined)
  })
  return {
    child,
    tell,
    next: (kind) =>
      new Promise((resolve) => {
        const listen = (message: FromNode): void => {
          if (message.kind !== kind) return
          child.off('message', listen)
          resolve(message as never)
        }
        child.on('message', listen)
      }),
    async handler(request) {
      const id = (next += 1)
      tell({ kind: 'request', id, request })
      const response = await new Promise<CarrierResponse | undefined>((resolve) => waiting.set(id, resolve))
      if (response === undefined) throw new CarrierError('timeout', 'the node was killed')
      return response
    },
  }
}

describe('a Node node that is killed', () => {
  it(
    `loses and doubles nothing in ${ROUNDS} rounds`,
    { timeout: 60_000 + ROUNDS * MOST_MS_OF_ROUND },
    async () => {
      const random = createSeededRandom(Number(process.env['CRASH_SEED'] ?? SEED))
      const loopback = createLoopback({ clock: realClock })
      const alice = await createTestNode({ loopback, clock: realClock, seed: 1 })
      const { userId, deviceId } = await alice.signUp('alice')
      const caller = { userId, deviceId: deviceId as never }
      const bob = testSigner(SEED).name
      const out = loopback.carrier(bob)
      const answer = (request: EnvelopedRequest): Promise<CarrierResponse | undefined> =>
        out.send(request, { timeoutMs: 5_000 }).catch(() => undefined)
      const roomId: RoomId = await alice.engine.rooms.create({
        creator: userId,
        initialState: [
          { type: 'm.room.member', stateKey: userId, content: { membership: 'join' } },
          { type: 'm.room.join_rules', stateKey: '', content: { join_rule: 'public' } },
        ],
      })
      const acknowledged = new Set<EventId>()
      const sent: EventId[] = []
      let messages = 0

      for (let round = 0; round <= ROUNDS; round += 1) {
        const node = start(answer)
        const { userId: bobId } = await node.next('ready')
        loopback.connect(bob, node.handler)
        if (round === 0) {
          const joined = node.next('joined')
          node.tell({ kind: 'join', roomId, via: alice.name })
          await joined
        }
        alice.engine.control.peerAppeared(bob)
        if (round === ROUNDS) {
          await delivered(alice.engine.outbox, roomId, sent)
          const listed = node.next('events')
          node.tell({ kind: 'list', roomId })
          const { eventIds, messages: inbox } = await listed
          expect(inbox).toEqual(Array.from({ length: messages }, (_, index) => index + 1))
          const there = new Set(eventIds)
          expect(there.size).toBe(eventIds.length)
          expect([...acknowledged].filter((id) => !there.has(id))).toEqual([])
          expect(sent.filter((id) => !there.has(id))).toEqual([])
          expect(acknowledged.size).toBeGreaterThan(ROUNDS)
          break
        }
        const enough = 1 + ((random.bytes(1)[0] ?? 0) % MOST_EVENTS_BEFORE_KILL)
        let seen = 0
        const killed = new Promise<void>((resolve) => {
          node.child.on('message', (message: FromNode) => {
            if (message.kind !== 'acknowledged') return
            acknowledged.add(message.eventId)
            seen += 1
            if (seen === enough) {
              node.child.kill('SIGKILL')
              resolve()
            }
          })
        })
        node.tell({ kind: 'talk', roomId })
        for (let index = 0; index < 10; index += 1) {
          const content = { msgtype: 'm.text', body: `${round} ${index}` }
          messages += 1
          const toBob = { [bobId]: { '*': { n: messages } } }
          await alice.engine.users.toDevice.send(caller, 'm.test', `${messages}`, toBob)
          sent.push(
            await alice.engine.rooms.send(roomId, { type: 'm.room.message', sender: userId, content }),
          )
        }
        await killed
        loopback.connect(bob, undefined)
        if (node.child.exitCode === null && node.child.signalCode === null) await once(node.child, 'exit')
      }
      await alice.close()
    },
  )
})

/** Waits until all these events are at all members. */
async function delivered(outbox: Outbox, roomId: RoomId, eventIds: readonly EventId[]): Promise<void> {
  const last = eventIds.at(-1)
  if (last === undefined) return
  await new Promise<void>((resolve) => {
    const check = (): void => {
      void outbox.delivery(roomId, last).then((delivery) => {
        if (delivery !== undefined && delivery.delivered === delivery.members) resolve()
      })
    }
    outbox.watch(check)
    check()
  })
}
