import type { FrameChannel } from './channel.ts'
import { FRAME_HEADER_BYTES } from './frame.ts'
import { CREDIT_WINDOW, MAX_QUEUED_BYTES, WRITE_HIGH_WATER } from './limits.ts'
import { messageBytes, messagePart, type Message } from './message.ts'

export type Outgoing = {
  readonly id: number
  /** Kind of the first frame, and of those that follow. */
  readonly kind: number
  readonly partKind: number
  readonly message: Message
}

/**
 * Sends messages frame by frame, in turn, within the credit that the other side gave and while the transport takes
 * more. Invariant: at most `CREDIT_WINDOW` bytes are under way without credit, at most `MAX_QUEUED_BYTES` queued.
 */
export interface Sender {
  /** False when the queue is full; nothing is queued then. */
  queue(outgoing: Outgoing): boolean
  /** Takes back a message; answers whether any of it was sent. */
  drop(kind: number, id: number): boolean
  /** False when the other side gave more credit than there is. */
  credit(bytes: number): boolean
  /** Sends what may be sent. */
  pump(): void
  readonly queuedBytes: number
}

export function createSender(channel: FrameChannel): Sender {
  /** In turn order; `offset` is how much of the message was sent. */
  let turns: { readonly outgoing: Outgoing; offset: number }[] = []
  let queuedBytes = 0
  let credit = CREDIT_WINDOW

  function pump(): void {
    while (channel.open && channel.backlog < WRITE_HIGH_WATER) {
      const turn = turns[0]
      if (turn === undefined) return
      const { id, kind, partKind, message } = turn.outgoing
      const part = messagePart(message, turn.offset)
      const cost = FRAME_HEADER_BYTES + part.length
      if (cost > credit) return
      credit -= cost
      channel.send(turn.offset === 0 ? kind : partKind, id, part)
      turn.offset += part.length
      turns.shift()
      if (turn.offset < messageBytes(message)) turns.push(turn)
      else queuedBytes -= messageBytes(message)
    }
  }

  return {
    queue(outgoing) {
      const bytes = messageBytes(outgoing.message)
      if (queuedBytes + bytes > MAX_QUEUED_BYTES) return false
      queuedBytes += bytes
      turns.push({ outgoing, offset: 0 })
      pump()
      return true
    },
    drop(kind, id) {
      const turn = turns.find(({ outgoing }) => outgoing.kind === kind && outgoing.id === id)
      if (turn === undefined) return true
      turns = turns.filter((other) => other !== turn)
      queuedBytes -= messageBytes(turn.outgoing.message)
      return turn.offset > 0
    },
    credit(bytes) {
      credit += bytes
      pump()
      return credit <= CREDIT_WINDOW
    },
    pump,
    get queuedBytes() {
      return queuedBytes
    },
  }
}

/** The receiving side's book of credit. */
export interface CreditGiver {
  /** Counts a frame; false when the sender had no credit for it. */
  take(bodyBytes: number): boolean
  /** Bytes to give credit for, 0 when not enough are due. */
  due(): number
}

export function createCreditGiver(step: number): CreditGiver {
  let window = CREDIT_WINDOW
  let due = 0
  return {
    take(bodyBytes) {
      const cost = FRAME_HEADER_BYTES + bodyBytes
      window -= cost
      due += cost
      return window >= 0
    },
    due() {
      if (due < step) return 0
      const given = due
      window += given
      due = 0
      return given
    },
  }
}
