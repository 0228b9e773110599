import type { ServerName } from '@plexus/core'
import { CarrierError, type Clock, type Log } from '@plexus/engine/ports'
import { createFrameChannel, type ByteStream } from './wire/channel.ts'
import type { Frame } from './wire/frame.ts'
import { createHeartbeat } from './wire/heartbeat.ts'
import type { SignedCertificate } from './wire/hello.ts'
import { MAX_NAMES_PER_FRAME, MAX_WATCHED_NAMES } from './wire/limits.ts'
import type { Published } from './wire/published.ts'
import {
  decodeEntry,
  decodeKeyedRecord,
  encodeKeyedRecord,
  encodeKeys,
  encodeNames,
  encodeRegister,
  RelayFrame,
  RelayRefusal,
  type RelayEntry,
} from './wire/relay.ts'

/** Milliseconds that a relay has for an answer. */
export const RELAY_ANSWER_MS = 10_000
/** Why a stream was closed when the relay has a newer one of the same node. */
export const REPLACED = 'the same node was started again elsewhere'
/** Questions to one relay that wait for their answer. */
export const MAX_RELAY_QUESTIONS = 64

export type RelayClientDeps = {
  readonly clock: Clock
  readonly log: Log
  /** A watched name appeared; the relay's claim. */
  appeared(entry: RelayEntry): void
  closed(reason: string): void
}

/** The node's end of a relay stream. Answers are the relay's claims: their certificates are to be checked. */
export interface RelayClient {
  /** @throws CarrierError `refused` when the relay does not take the certificate */
  register(certificate: SignedCertificate): Promise<void>
  /** Those of the names that are connected to the relay. At most `MAX_NAMES_PER_FRAME`. */
  lookup(names: readonly ServerName[]): Promise<readonly RelayEntry[]>
  /** Sets the names to be told of; those that are there already are told at once. */
  watch(names: ReadonlySet<ServerName>): void
  /** True for a watched name once the relay has said whether it is there: from then on it tells of a change. */
  tells(name: ServerName): boolean
  /** Those of the records that the relay has, soundly signed. At most `MAX_KEYS_PER_FRAME`. */
  find(keys: readonly string[]): Promise<readonly Published[]>
  /** @throws CarrierError `refused` when the relay does not keep the record */
  publish(published: Published): Promise<void>
  /** There is reason to doubt the connection: finds out soon whether the relay is there. */
  probe(): void
  close(): void
}

type Question = {
  /** Takes one answer; says what is wrong with it. */
  take(body: Uint8Array): string | undefined
  done(): void
  fail(error: CarrierError): void
}

const K = RelayFrame

export function createRelayClient(deps: RelayClientDeps, stream: ByteStream): RelayClient {
  const questions = new Map<number, Question>()
  const watched = new Set<ServerName>()
  /** Those of them that the relay has taken. */
  const taken = new Set<ServerName>()
  let lastId = 0
  const channel = createFrameChannel(stream, {
    frame: onFrame,
    writable: () => undefined,
    closed(reason) {
      heartbeat.stop()
      for (const question of questions.values()) question.fail(new CarrierError('unreachable', reason))
      deps.closed(reason)
    },
  })
  const heartbeat = createHeartbeat({
    clock: deps.clock,
    ping: (id) => channel.send(K.ping, id),
    dead: () => channel.abort('the relay shows no sign of life'),
    roundTrip: () => undefined,
  })

  /** Answers with what the relay says, each part read by `decode`. */
  function ask<Answer>(
    kind: number,
    body: Uint8Array,
    limit: number,
    decode: (body: Uint8Array) => Answer | undefined,
  ): Promise<readonly Answer[]> {
    if (!channel.open || questions.size >= MAX_RELAY_QUESTIONS)
      return Promise.reject(new CarrierError('unreachable', 'the relay takes no question'))
    lastId += 1
    const id = lastId
    return new Promise((resolve, reject) => {
      const answers: Answer[] = []
      const end = (): void => {
        questions.delete(id)
        cancel()
      }
      const fail = (error: CarrierError): void => {
        end()
        reject(error)
      }
      const cancel = deps.clock.after(RELAY_ANSWER_MS, () =>
        fail(new CarrierError('timeout', 'the relay does not answer')),
      )
      questions.set(id, {
        take(part) {
          const answer = decode(part)
          if (answer === undefined) return 'not an answer'
          if (answers.length >= limit) return 'more answers than were asked for'
          answers.push(answer)
          return undefined
        },
        done() {
          end()
          resolve(answers)
        },
        fail,
      })
      channel.send(kind, id, body)
    })
  }

  /** A watched name appeared. */
  function onAppeared(body: Uint8Array): string | undefined {
    const entry = decodeEntry(body)
    if (entry === undefined) return 'not an entry'
    if (watched.has(entry.name)) deps.appeared(entry)
    return undefined
  }

  function onFrame({ kind, id, body }: Frame): void {
    heartbeat.heard()
    let fault: string | undefined
    const question = questions.get(id)
    if (kind === K.entry && id === 0) fault = onAppeared(body)
    else if (kind === K.entry || kind === K.record) fault = question?.take(body)
    else if (kind === K.done) question?.done()
    else if (kind === K.refuse && id === 0 && body[0] === RelayRefusal.replaced) channel.close(REPLACED)
    else if (kind === K.refuse) question?.fail(new CarrierError('refused', `relay refusal ${body[0] ?? 0}`))
    else if (kind === K.pong) heartbeat.pong(id)
    else if (kind === K.ping) channel.send(K.pong, id)
    else fault = 'unknown kind of frame'
    if (fault !== undefined) channel.abort(fault)
  }

  function tell(names: readonly ServerName[], entries: readonly RelayEntry[]): void {
    for (const name of names) if (watched.has(name)) taken.add(name)
    for (const entry of entries) {
      if (watched.has(entry.name)) deps.appeared(entry)
    }
  }

  return {
    async register(certificate) {
      await ask(K.register, encodeRegister(certificate), 0, decodeEntry)
    },
    lookup: (names) => ask(K.lookup, encodeNames(names), names.length, decodeEntry),
    find: (keys) =>
      ask(K.find, encodeKeys(keys), keys.length, (body) => decodeKeyedRecord(body, deps.clock.now())),
    async publish(published) {
      await ask(K.publish, encodeKeyedRecord(published), 0, decodeEntry)
    },
    watch(names) {
      const gone = [...watched].filter((name) => !names.has(name))
      const fresh = [...names]
        .filter((name) => !watched.has(name))
        .slice(0, MAX_WATCHED_NAMES - watched.size + gone.length)
      for (const name of gone) {
        watched.delete(name)
        taken.delete(name)
      }
      for (const name of fresh) watched.add(name)
      for (const batch of batches(gone)) channel.send(K.unwatch, 0, encodeNames(batch))
      for (const batch of batches(fresh)) {
        ask(K.watch, encodeNames(batch), batch.length, decodeEntry).then(
          (entries) => tell(batch, entries),
          (error: unknown) => {
            for (const name of batch) watched.delete(name)
            deps.log.log('warn', 'the relay does not watch names', { error: String(error) })
          },
        )
      }
    },
    tells: (name) => taken.has(name),
    probe: () => heartbeat.probe(),
    close: () => channel.close('closed'),
  }
}

function batches(names: readonly ServerName[]): ServerName[][] {
  const list: ServerName[][] = []
  for (let start = 0; start < names.length; start += MAX_NAMES_PER_FRAME)
    list.push(names.slice(start, start + MAX_NAMES_PER_FRAME))
  return list
}
