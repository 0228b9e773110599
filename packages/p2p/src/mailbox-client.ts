import type { ServerName } from '@plexus/core'
import { accountRecords, shelfRecords, type SignedAccountRecord } from '@plexus/core/names'
import {
  CarrierError,
  MailError,
  type Clock,
  type KeptMail,
  type ShelfAnswer,
  type ShelfCounts,
} from '@plexus/engine/ports'
import { createFrameChannel, type ByteStream } from './wire/channel.ts'
import type { Frame } from './wire/frame.ts'
import {
  MAX_DEPOSITS_IN_FLIGHT,
  MAX_FETCH_BYTES,
  MAX_MAIL_BYTES,
  MAX_MAILS_PER_FETCH,
  WRITE_HIGH_WATER,
} from './wire/limits.ts'
import {
  createMailReader,
  decodeKeptMail,
  decodeMailboxHello,
  decodeRefusal,
  encodeCursor,
  encodeDeposit,
  encodeRegistration,
  MailboxFrame,
  sendMessage,
  type Deposit,
  type MailboxHello,
  type MailboxRegistration,
} from './wire/mailbox.ts'
import {
  decodeShelfAnswer,
  decodeShelfCounts,
  encodeShelfQuestion,
  encodeStock,
  type ShelfQuestion,
  type Stock,
} from './wire/shelf.ts'

/** Milliseconds that a relay has for an answer: a full one over a slow line takes a while. */
export const MAIL_ANSWER_MS = 30_000

export type MailboxClientDeps = {
  readonly clock: Clock
  /** There is mail, as the relay says; once until the next fetch. */
  announced(): void
  closed(reason: string): void
}

/** A node's end of a mailbox stream. What comes is held to the bounds that an honest relay keeps; none of it is believed. */
export interface MailboxClient {
  /** What the relay asks for. @throws CarrierError when it says nothing */
  readonly hello: Promise<MailboxHello>
  /** @throws MailError, CarrierError, as all that follow */
  register(registration: MailboxRegistration): Promise<void>
  /** Mail of `owner`, who registered on this stream. */
  fetch(owner: ServerName, cursor: number, end?: 'last'): Promise<readonly KeptMail[]>
  acknowledge(cursor: number): Promise<void>
  deposit(deposit: Deposit): Promise<void>
  stock(stock: Stock): Promise<ShelfCounts>
  /** The shelf is sound and of whom it was asked. */
  ask(question: ShelfQuestion): Promise<ShelfAnswer>
  close(): void
}

type Answer = Pick<Question, 'mails' | 'shelf'>

/** What was asked: `after` with a fetch, `about` is whose record an answer may hold. */
type Question = {
  readonly about: ServerName | undefined
  readonly after: number | undefined
  readonly mails: KeptMail[]
  bytes: number
  /** What was said of a shelf. */
  shelf: Uint8Array | undefined
  settle(outcome: Answer | Error): void
}

const K = MailboxFrame

export function createMailboxClient(deps: MailboxClientDeps, stream: ByteStream): MailboxClient {
  const { clock } = deps
  const questions = new Map<number, Question>()
  const reader = createMailReader()
  const hello = Promise.withResolvers<MailboxHello>()
  hello.promise.catch(() => undefined)
  const cancelHello = clock.after(MAIL_ANSWER_MS, () => channel.abort('the relay says nothing'))
  let isAnnounced = false
  let lastId = 0
  let room = Promise.withResolvers<void>()
  const channel = createFrameChannel(stream, {
    frame(frame) {
      const fault = onFrame(frame)
      if (fault === undefined) return
      for (const question of questions.values()) question.settle(new CarrierError('refused', fault))
      channel.abort(fault)
    },
    writable() {
      if (channel.backlog < WRITE_HIGH_WATER) room.resolve()
    },
    closed(reason) {
      cancelHello()
      const error = new CarrierError('unreachable', reason)
      hello.reject(error)
      for (const question of questions.values()) question.settle(error)
      room.resolve()
      deps.closed(reason)
    },
  })

  /** Waits for an answer to what `send` sends. */
  function ask(
    { about, after }: { about?: ServerName; after?: number },
    send: (id: number) => void,
  ): Promise<Answer> {
    if (!channel.open || questions.size >= MAX_DEPOSITS_IN_FLIGHT)
      return Promise.reject(new CarrierError('unreachable', 'the relay takes no question'))
    lastId += 1
    const id = lastId
    return new Promise((resolve, reject) => {
      const settle = (outcome: Answer | Error): void => {
        questions.delete(id)
        cancel()
        if (outcome instanceof Error) reject(outcome)
        else resolve(outcome)
      }
      const late = (): void => settle(new CarrierError('timeout', 'the relay does not answer'))
      const cancel = clock.after(MAIL_ANSWER_MS, late)
      questions.set(id, { about, after, mails: [], bytes: 0, shelf: undefined, settle })
      send(id)
    })
  }

  /** A frame of a mail; answers why the relay is to be left. */
  function onMail({ kind, id, body }: Frame): string | undefined {
    const message = reader.add(id, kind === K.mail, body)
    if (message === undefined || typeof message === 'string') return message
    const question = questions.get(id)
    // What was given up is on its way for a while.
    if (question === undefined) return undefined
    if (question.after === undefined || question.about === undefined) return 'mail that was not asked for'
    const kept = decodeKeptMail(message, question.about)
    const before = question.mails.at(-1)?.cursor ?? question.after
    if (kept === undefined || kept.cursor <= before) return 'not a mail that was asked for'
    question.mails.push(kept)
    question.bytes += message.body.length
    const isBeyond =
      question.mails.length > MAX_MAILS_PER_FETCH || question.bytes > MAX_FETCH_BYTES + MAX_MAIL_BYTES
    return isBeyond ? 'more mail than a relay sends' : undefined
  }

  /** A record that the relay showed, if it is sound and of who was asked about. */
  function sound(
    record: SignedAccountRecord | undefined,
    { about }: Question,
  ): SignedAccountRecord | undefined {
    if (record === undefined || record.record.name !== about) return undefined
    return accountRecords.check(record, clock.now()) === undefined ? record : undefined
  }

  function onRefusal(id: number, body: Uint8Array): string | undefined {
    const refusal = decodeRefusal(body)
    if (refusal === undefined) return 'not a refusal'
    if (id === 0) return `the relay refuses: ${refusal.code}`
    const question = questions.get(id)
    question?.settle(new MailError(refusal.code, sound(refusal.record, question)))
    return undefined
  }

  function onFrame(frame: Frame): string | undefined {
    const { kind, id, body } = frame
    const question = questions.get(id)
    switch (kind) {
      case K.hello: {
        const said = decodeMailboxHello(body)
        if (said === undefined) return 'not a hello'
        cancelHello()
        hello.resolve(said)
        return undefined
      }
      case K.mail:
      case K.part:
        return onMail(frame)
      case K.stocked:
      case K.shelf:
        if (question !== undefined) question.shelf = body
        return undefined
      case K.done:
        question?.settle(question)
        return undefined
      case K.refuse:
        return onRefusal(id, body)
      case K.announce:
        if (!isAnnounced) deps.announced()
        isAnnounced = true
        return undefined
      default:
        return 'unknown kind of frame'
    }
  }

  return {
    hello: hello.promise,
    async register(registration) {
      const about = registration.record.record.name
      await ask({ about }, (id) => channel.send(K.register, id, encodeRegistration(registration)))
    },
    async fetch(owner, cursor, end) {
      isAnnounced = false
      const asked = { about: owner, after: cursor }
      const kind = end === 'last' ? K.fetchLast : K.fetch
      return (await ask(asked, (id) => channel.send(kind, id, encodeCursor(cursor)))).mails
    },
    async acknowledge(cursor) {
      await ask({}, (id) => channel.send(K.acknowledge, id, encodeCursor(cursor)))
    },
    async deposit(deposit) {
      while (channel.open && channel.backlog >= WRITE_HIGH_WATER) {
        room = Promise.withResolvers<void>()
        await room.promise
      }
      const about = deposit.mail.recipient
      await ask({ about }, (id) => sendMessage(channel, K.deposit, id, encodeDeposit(deposit)))
    },
    async stock(stock) {
      const { shelf } = await ask({}, (id) => channel.send(K.stock, id, encodeStock(stock)))
      return shelf === undefined ? nonsense() : (decodeShelfCounts(shelf) ?? nonsense())
    },
    async ask(question) {
      const asked = await ask({}, (id) => channel.send(K.ask, id, encodeShelfQuestion(question)))
      const answer = asked.shelf === undefined ? undefined : decodeShelfAnswer(asked.shelf)
      if (answer === undefined) return nonsense()
      const { record } = answer.shelf
      const isTheirs = record.name === question.recipient && record.user === question.user
      return isTheirs && shelfRecords.check(answer.shelf, clock.now()) === undefined ? answer : nonsense()
    },
    close: () => channel.close('closed'),
  }
}

/** @throws CarrierError */
function nonsense(): never {
  throw new CarrierError('refused', 'the relay answers nonsense about a shelf')
}
