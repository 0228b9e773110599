/** Follows a stream of a NATS cluster from its beginning, whatever becomes of single servers. */
import { DeliverPolicy, type ConsumerMessages, type JsMsg } from '@nats-io/jetstream'
import type { JsonObject } from '@plexus/core'
import type { Log } from '@plexus/engine/ports'
import { NATS_FOLLOW_AHEAD, NATS_HEARTBEAT_MS, NATS_RETRY_MS, NATS_SILENCE_MS } from '../../limits.ts'
import { labelOf, type Cluster, type StreamName } from './cluster.ts'

/** A message without its bytes. `subject`: its tokens below the stream's. */
export type Followed = {
  readonly seq: number
  readonly subject: readonly string[]
  readonly label: JsonObject
}

export type FollowerInit = {
  readonly stream: StreamName
  /** Tokens of the stream's own subject. */
  readonly depth: number
  /** Called with each message in order, some of them again. */
  readonly took: (message: Followed) => void
}

export interface Follower extends AsyncDisposable {
  /** The place of the last message that was taken. */
  readonly last: number
  /** Resolves once everything up to a message was taken, or so many milliseconds later. */
  reached(seq: number, withinMs?: number): Promise<void>
}

export function follow(log: Log, cluster: Cluster, { stream, depth, took }: FollowerInit): Follower {
  let last = 0
  let isClosed = false
  let current: ConsumerMessages | undefined
  const waiting = new Set<{ readonly seq: number; readonly end: () => void }>()

  function take(message: JsMsg): void {
    const subject = message.subject.split('.').slice(depth)
    const label = labelOf(message.headers)
    if (label === undefined) log.log('error', 'a message in the NATS cluster is of no relay', { stream })
    else took({ seq: message.seq, subject, label })
    last = message.seq
    for (const wait of waiting) if (wait.seq <= last) wait.end()
  }

  /**
   * A consumer lives on one server, and is not heard of when that is gone. The library waits for it half a minute after this
   * relay's own connection was lost; here another is made.
   */
  async function readAll(messages: ConsumerMessages): Promise<void> {
    let heard = performance.now()
    const check = (): void => {
      if (performance.now() - heard > NATS_SILENCE_MS) messages.stop()
    }
    const timer = setInterval(check, NATS_HEARTBEAT_MS)
    const hearSigns = async (): Promise<void> => {
      for await (const { type } of messages.status()) if (type === 'heartbeat') heard = performance.now()
    }
    void hearSigns()
    try {
      for await (const message of messages) {
        heard = performance.now()
        take(message)
      }
    } finally {
      clearInterval(timer)
    }
  }

  async function run(): Promise<void> {
    while (!isClosed) {
      try {
        const consumer = await cluster.jetstream.consumers.get(cluster.nameOf(stream), {
          deliver_policy: DeliverPolicy.StartSequence,
          opt_start_seq: last + 1,
          headers_only: true,
        })
        const messages = await consumer.consume({
          idle_heartbeat: NATS_HEARTBEAT_MS,
          max_messages: NATS_FOLLOW_AHEAD,
        })
        current = messages
        if (isClosed) messages.stop()
        await readAll(messages)
      } catch (error) {
        log.log('debug', 'the NATS cluster is not followed', { stream, error: String(error) })
      }
      if (!isClosed) await new Promise((resolve) => setTimeout(resolve, NATS_RETRY_MS))
    }
  }
  const running = run()

  return {
    get last() {
      return last
    },
    reached: (seq, withinMs) =>
      new Promise((resolve) => {
        const end = (): void => {
          clearTimeout(timer)
          waiting.delete(wait)
          resolve()
        }
        const wait = { seq, end }
        const timer = withinMs === undefined ? undefined : setTimeout(end, withinMs)
        if (seq <= last) end()
        else waiting.add(wait)
      }),
    async [Symbol.asyncDispose]() {
      isClosed = true
      current?.stop()
      await running
    },
  }
}
