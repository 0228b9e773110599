/**
 * A node on SQLite in a process of its own, which can be killed: `node test/kit/node-process.ts <file> <seed>`.
 * It speaks with its parent by IPC: federation both ways, commands, and what it acknowledged to its own client.
 */
import { flushCompileCache } from 'node:module'
import type { EventId, JsonValue, RoomId, ServerName, UserId } from '@plexus/core'
import type { CarrierResponse, EnvelopedRequest } from '@plexus/engine/ports'
import { MIGRATIONS } from '@plexus/engine'
import { CarrierError } from '@plexus/engine/ports'
import { openSqliteStore } from '@plexus/store/sqlite'
import type { Loopback } from './loopback.ts'
import { createTestNode } from './node.ts'
import { realClock } from './real-clock.ts'

export type ToNode =
  | { readonly kind: 'request'; readonly id: number; readonly request: EnvelopedRequest }
  | { readonly kind: 'answer'; readonly id: number; readonly response: CarrierResponse | undefined }
  | { readonly kind: 'join'; readonly roomId: RoomId; readonly via: ServerName }
  | { readonly kind: 'talk'; readonly roomId: RoomId }
  | { readonly kind: 'list'; readonly roomId: RoomId }

export type FromNode =
  | { readonly kind: 'ready'; readonly userId: UserId }
  | { readonly kind: 'joined' }
  | { readonly kind: 'request'; readonly id: number; readonly request: EnvelopedRequest }
  | { readonly kind: 'answer'; readonly id: number; readonly response: CarrierResponse }
  | { readonly kind: 'acknowledged'; readonly eventId: EventId }
  | {
      readonly kind: 'events'
      readonly eventIds: readonly EventId[]
      readonly messages: readonly JsonValue[]
    }

const LOCALPART = 'bob'
const MAX_LISTED_MESSAGES = 10_000

async function main(file: string, seed: number): Promise<void> {
  const tell = (message: FromNode): void => void process.send?.(message)
  const waiting = new Map<number, (response: CarrierResponse | undefined) => void>()
  let next = 0
  let handle: ((request: EnvelopedRequest) => Promise<CarrierResponse>) | undefined
  const overIpc: Pick<Loopback, 'carrier' | 'connect'> = {
    carrier: () => ({
      async send(request) {
        const id = (next += 1)
        tell({ kind: 'request', id, request })
        const response = await new Promise<CarrierResponse | undefined>((resolve) => waiting.set(id, resolve))
        waiting.delete(id)
        if (response === undefined) throw new CarrierError('unreachable', 'the parent has no way there')
        return response
      },
    }),
    connect: (_name, handler) => {
      handle = handler
    },
  }
  const store = await openSqliteStore(file, { migrations: MIGRATIONS })
  const node = await createTestNode({ loopback: overIpc, clock: realClock, seed, store })
  const session = (await node.engine.control.session()) ?? (await node.signUp(LOCALPART))
  const { rooms } = node.engine

  const talk = async (roomId: RoomId): Promise<void> => {
    for (let count = 0; ; count += 1) {
      const content = { msgtype: 'm.text', body: `message ${count}` }
      const eventId = await rooms.send(roomId, { type: 'm.room.message', sender: session.userId, content })
      tell({ kind: 'acknowledged', eventId })
    }
  }

  /** What the to-device messages hold as `n`, in the order of the inbox. */
  const inbox = async (): Promise<readonly JsonValue[]> => {
    const { toDevice } = node.engine.users
    const caller = { userId: session.userId, deviceId: session.deviceId as never }
    const { events } = await toDevice.inbox(caller, 0, node.engine.committer.committed, MAX_LISTED_MESSAGES)
    return events.map(({ content }) => content['n'] ?? null)
  }

  process.on('message', (message: ToNode) => {
    void (async () => {
      switch (message.kind) {
        case 'request': {
          if (handle !== undefined)
            tell({ kind: 'answer', id: message.id, response: await handle(message.request) })
          break
        }
        case 'answer':
          waiting.get(message.id)?.(message.response)
          break
        case 'join':
          await rooms.join(session.userId, message.roomId, { via: [message.via] })
          tell({ kind: 'joined' })
          break
        case 'talk':
          await talk(message.roomId)
          break
        case 'list': {
          await node.engine.idle()
          const page = await rooms.timeline(message.roomId, {
            from: 0,
            to: 2 ** 50,
            direction: 'f',
            limit: 1_000,
          })
          const eventIds = page.events.map(({ id }) => id)
          let from = page.next
          while (from !== undefined) {
            const more = await rooms.timeline(message.roomId, {
              from,
              to: 2 ** 50,
              direction: 'f',
              limit: 1_000,
            })
            eventIds.push(...more.events.map(({ id }) => id))
            from = more.next
          }
          tell({ kind: 'events', eventIds, messages: await inbox() })
          break
        }
      }
    })()
  })
  // Who is killed writes none at its end.
  flushCompileCache()
  tell({ kind: 'ready', userId: session.userId })
}

const [file, seed] = process.argv.slice(2)
if (file !== undefined && seed !== undefined && process.send !== undefined) await main(file, Number(seed))
