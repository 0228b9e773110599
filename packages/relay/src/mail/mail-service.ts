/** The mailbox protocol, relay's side: who may leave and fetch mail, and within which bounds. DESIGN section 8 */
import type { SignedAccountRecord } from '@plexus/core/names'
import { StoreError, type Clock, type Log, type MailRefusal } from '@plexus/engine/ports'
import {
  createFrameChannel,
  createMailReader,
  createTokenBucket,
  encodeMailboxHello,
  encodeRefusal,
  encodeShelfAnswer,
  encodeShelfCounts,
  MAX_DEPOSITS_IN_FLIGHT,
  MailboxFrame,
  type ByteStream,
  type Frame,
  type MailboxRefusal,
} from '@plexus/p2p/wire'
import {
  EXPIRY_INTERVAL_MS,
  MAIL_FRAME_BURST,
  MAIL_FRAMES_PER_SECOND,
  MAIL_IDLE_MS,
  MAIL_RATE_BYTES,
  MAX_CONNECTIONS,
  MAX_DEPOSIT_BYTES,
  MAX_SOURCE_DEPOSIT_BYTES,
  REGISTRATION_RATE_COST,
  SHELF_ASK_COST,
  SHELF_STOCK_COST,
  STEADY_CLOCK_MS,
} from '../limits.ts'
import { createChecks } from './checks.ts'
import { takeDeposit } from './deposit.ts'
import type { MailStore, MailTotals } from './mail-store.ts'
import { createOwners, type MailSession, type Owners } from './owners.ts'
import type { MailPolicy } from './policy.ts'
import { createShelfService } from './shelves.ts'
import type { Source, Sources } from './sources.ts'

export type MailDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly store: MailStore
  readonly sources: Sources
  /** A name has a mailbox, and this is the newest record that it registered. */
  readonly registered: (record: SignedAccountRecord, source: Source) => void
}

export type MailInit = {
  /** Peer id of this relay. */
  readonly relay: string
  readonly policy: MailPolicy
}

export type MailCounts = {
  /** Streams, and those of them that an owner registered on. */
  readonly sessions: number
  readonly owners: number
  /** Mails taken, those that were there already, and announcements, since the start. */
  readonly kept: number
  readonly known: number
  readonly announced: number
  /** Times that a key shelf was stocked and has keys. */
  readonly stocked: number
  readonly refused: Readonly<Partial<Record<MailRefusal, number>>>
}

/** Mailboxes at a relay. It knows recipients, never senders; nothing that it logs names a recipient. */
export interface MailService {
  /** Takes over a stream. `address`: the multiaddr that it comes from. */
  accept(stream: ByteStream, from: { readonly peerId: string; readonly address: string }): void
  counts(): MailCounts
  totals(): Promise<MailTotals>
  /** Takes nothing more, and resolves when all that was taken is answered. */
  close(): Promise<void>
}

const K = MailboxFrame

export function createMailService(deps: MailDeps, init: MailInit): MailService {
  const { clock, log, store, sources, registered } = deps
  const { policy } = init
  const counts = { kept: 0, known: 0, stocked: 0, refused: {} as Partial<Record<MailRefusal, number>> }
  const sessions = new Set<MailSession>()
  const owners = createOwners({ clock, log, store, policy })
  const unwatch = store.watch((recipient) => owners.announce(recipient))
  const shelves = createShelfService({ clock, store })
  const checks = createChecks()
  const working = new Set<Promise<void>>()
  let bytes = 0
  let closed = false

  function refuse(session: MailSession, id: number, refusal: MailboxRefusal): void {
    counts.refused[refusal.code] = (counts.refused[refusal.code] ?? 0) + 1
    session.channel.send(K.refuse, id, encodeRefusal(refusal))
  }

  /** Does what a frame asks for and answers it, with `done` unless `work` refuses. */
  function answer(session: MailSession, id: number, work: () => Promise<MailboxRefusal | undefined>): void {
    const task = work()
      .then((outcome) => {
        if (outcome === undefined) session.channel.send(K.done, id)
        else refuse(session, id, outcome)
      })
      .catch((error: unknown) => {
        if (error instanceof StoreError && error.code === 'full') {
          refuse(session, id, { code: 'quota' })
          return
        }
        log.log('error', 'the mail store failed', { error: String(error) })
        session.channel.close('the mailboxes are out of order')
      })
      .finally(() => working.delete(task))
    working.add(task)
  }

  /** Reads the frames of mail that is left: one mail at a time, each within what its source may. */
  function depositReader(session: MailSession, source: Source): { read(frame: Frame): void } {
    let reader = createMailReader()
    let skipped: number | undefined
    let waiting = 0

    function hold(change: number): void {
      bytes += change
      source.bytes += change
    }

    function mayGoOn(length: number): boolean {
      if (bytes + length > MAX_DEPOSIT_BYTES || source.bytes + length > MAX_SOURCE_DEPOSIT_BYTES) return false
      return waiting < MAX_DEPOSITS_IN_FLIGHT && source.rate.take(Math.ceil(length / MAIL_RATE_BYTES))
    }

    session.ended = () => hold(-reader.kept)
    return {
      read({ kind, id, body }) {
        const first = kind === K.deposit
        if (!first && id === skipped) return
        skipped = undefined
        if (!mayGoOn(body.length)) {
          hold(-reader.kept)
          reader = createMailReader()
          skipped = id
          refuse(session, id, { code: 'too-fast' })
          return
        }
        const before = reader.kept
        const message = reader.add(id, first, body)
        hold(reader.kept - before)
        if (message === 'message too long') {
          skipped = id
          refuse(session, id, { code: 'too-large' })
        } else if (typeof message === 'string') session.channel.abort(message)
        else if (message !== undefined) {
          const held = message.header.length + message.body.length
          hold(held)
          waiting += 1
          answer(session, id, async () => {
            try {
              return await takeDeposit({ clock, store, counts, ...init }, message)
            } finally {
              waiting -= 1
              hold(-held)
            }
          })
        }
      },
    }
  }

  async function register(
    session: MailSession,
    source: Source,
    body: Uint8Array,
  ): ReturnType<Owners['register']> {
    if (!source.rate.take(REGISTRATION_RATE_COST)) return { code: 'too-fast' }
    const work = (): ReturnType<Owners['register']> =>
      owners.register(session, body, {
        mayMake: () => source.names.take(),
        registered: (record) => registered(record, source),
      })
    const outcome = await checks.run(source, async () => ({ refusal: await work() }))
    return outcome === undefined ? { code: 'too-fast' } : outcome.refusal
  }

  async function stock(
    session: MailSession,
    source: Source,
    id: number,
    body: Uint8Array,
  ): Promise<MailboxRefusal | undefined> {
    if (!source.rate.take(SHELF_STOCK_COST)) return { code: 'too-fast' }
    const name = await owners.nameOf(session)
    if (typeof name === 'object') return name
    const outcome = await checks.run(source, () => shelves.stock(name, body))
    if (outcome === undefined) return { code: 'too-fast' }
    if ('code' in outcome) return outcome
    if (Object.values(outcome.answer).some(({ left }) => left > 0)) counts.stocked += 1
    session.channel.send(K.stocked, id, encodeShelfCounts(outcome.answer))
    return undefined
  }

  async function ask(
    session: MailSession,
    source: Source,
    id: number,
    body: Uint8Array,
  ): Promise<MailboxRefusal | undefined> {
    if (!source.rate.take(SHELF_ASK_COST)) return { code: 'too-fast' }
    const outcome = await shelves.ask(source, body)
    if ('code' in outcome) return outcome
    session.channel.send(K.shelf, id, encodeShelfAnswer(outcome.answer))
    return undefined
  }

  function start(session: MailSession, source: Source): (frame: Frame) => void {
    const deposits = depositReader(session, source)
    const frames = createTokenBucket(() => clock.now(), MAIL_FRAMES_PER_SECOND, MAIL_FRAME_BURST)
    return (frame) => {
      const { kind, id, body } = frame
      session.heard = clock.now()
      if (!frames.take()) session.channel.abort('too many frames')
      else if (kind === K.deposit || kind === K.part) deposits.read(frame)
      else if (kind === K.register) answer(session, id, () => register(session, source, body))
      else if (kind === K.fetch) answer(session, id, () => owners.fetch(session, id, body))
      else if (kind === K.fetchLast) answer(session, id, () => owners.fetch(session, id, body, 'last'))
      else if (kind === K.acknowledge) answer(session, id, () => owners.acknowledge(session, body))
      else if (kind === K.stock) answer(session, id, () => stock(session, source, id, body))
      else if (kind === K.ask) answer(session, id, () => ask(session, source, id, body))
      else session.channel.abort('unknown kind of frame')
    }
  }

  /** Closes streams on which nothing happens, and removes what expired. */
  function tidy(): void {
    for (const session of sessions) {
      const isIdle = session.owner === undefined && clock.now() - session.heard > MAIL_IDLE_MS
      if (isIdle) session.channel.close('idle')
    }
    cancelTidy = clock.after(MAIL_IDLE_MS, tidy)
  }

  function expire(): void {
    const now = clock.now()
    if (Math.abs(now - expiryDue) > EXPIRY_INTERVAL_MS) {
      log.log('warn', 'the clock jumped: nothing expires for a while', { ms: now - expiryDue })
      steadySince = now
    }
    expiryDue = now + EXPIRY_INTERVAL_MS
    cancelExpiry = clock.after(EXPIRY_INTERVAL_MS, expire)
    if (now - steadySince < STEADY_CLOCK_MS) return
    const task = store
      .expire(now)
      .catch((error: unknown) => log.log('error', 'expired mail was not removed', { error: String(error) }))
      .finally(() => working.delete(task))
    working.add(task)
  }

  let cancelTidy = clock.after(MAIL_IDLE_MS, tidy)
  let cancelExpiry: () => void = () => undefined
  let steadySince = clock.now()
  let expiryDue = steadySince
  expire()

  return {
    accept(stream, { peerId, address }) {
      if (closed || sessions.size >= MAX_CONNECTIONS) {
        stream.abort(new Error('no more mailbox streams'))
        return
      }
      let onFrame: (frame: Frame) => void = () => undefined
      const channel = createFrameChannel(stream, {
        frame: (frame) => onFrame(frame),
        writable: () => owners.writable(session),
        closed() {
          session.ended()
          owners.forget(session)
          sessions.delete(session)
        },
      })
      const session: MailSession = {
        peerId,
        channel,
        heard: clock.now(),
        owner: undefined,
        isAnnounced: false,
        isFetching: false,
        unsent: 0,
        room: undefined,
        ended: () => undefined,
      }
      sessions.add(session)
      onFrame = start(session, sources(address))
      channel.send(K.hello, 0, encodeMailboxHello(policy))
    },
    counts: () => ({
      ...counts,
      refused: { ...counts.refused },
      sessions: sessions.size,
      owners: owners.count,
      announced: owners.announced,
    }),
    totals: () => store.totals(),
    async close() {
      closed = true
      cancelTidy()
      cancelExpiry()
      unwatch()
      await Promise.all(working)
      for (const { channel } of sessions) channel.close('the relay stops')
    },
  }
}
