/** Mail at a relay: for its owner to fetch, for anybody to leave. DESIGN section 8 */
import {
  decodeBase64,
  isJsonObject,
  parseServerName,
  type JsonObject,
  type JsonValue,
  type ServerName,
} from '@plexus/core'
import { accountRecords, isCount, type SignedAccountRecord } from '@plexus/core/names'
import type { KeptMail, MailLane, MailRefusal, SealedMail } from '@plexus/engine/ports'
import type { FrameChannel } from './channel.ts'
import { decodeSignedCertificate, type SignedCertificate } from './hello.ts'
import {
  MAX_FRAME_BODY,
  MAX_MAIL_BYTES,
  MAX_MAIL_HEADER_BYTES,
  MAX_NAME_LENGTH,
  MAX_PROOF_BITS,
  MAX_TOKEN_LENGTH,
  MIN_RETENTION_MS,
} from './limits.ts'
import {
  createAssembly,
  decodeJson,
  encodeJson,
  messageBytes,
  messagePart,
  type Assembly,
  type Message,
  type MessageFault,
} from './message.ts'
import type { MailProof } from './proof.ts'

/** libp2p protocol id of a stream between a node, or who leaves mail, and a relay that keeps mailboxes. */
export const MAILBOX_PROTOCOL = '/plexus/mailbox/1.0.0'

/** Kinds of frames on a mailbox stream. Answers carry the id of the question, which is never 0. */
export const MailboxFrame = {
  /** Relay, first: what it asks for. */
  hello: 1,
  /** Owner: certificate, record, hash of the access key. Answered with `done` or `refuse`; `fetch` and `acknowledge` come after it. */
  register: 2,
  /** Owner: a cursor. Answered with the mails after it, one `mail` each, then `done`. */
  fetch: 3,
  /** Owner: a cursor up to which this device has everything on disk. */
  acknowledge: 4,
  /** Anybody: a mail. `done` says that it is on disk. */
  deposit: 5,
  /** What follows of a deposit or mail that is larger than a frame; nothing else of that kind comes in between. */
  part: 6,
  mail: 7,
  done: 8,
  /** Relay: code, and with it the newest record of the name in question. */
  refuse: 9,
  /** Relay, with id 0: mail came. Not repeated before the next fetch. */
  announce: 10,
  /** Owner: the shelf of a user, and keys that are added to it. Answered with `stocked`, then `done`. */
  stock: 11,
  /** Relay: what is left of each device's keys. */
  stocked: 12,
  /** Anybody: for a user's shelf, and keys of devices. Answered with `shelf`, then `done`. */
  ask: 13,
  shelf: 14,
  /** Owner: a cursor. Answered as `fetch` is, with the few mails after it that came last. */
  fetchLast: 15,
} as const

/**
 * What a relay says first. `proofBits`: zero bits of the proof of work for the lane `strangers`. `retentionMs`: milliseconds after
 * which it removes a mail that has not expired.
 */
export type MailboxHello = { readonly proofBits: number; readonly retentionMs: number }

export type MailboxRegistration = {
  readonly certificate: SignedCertificate
  readonly record: SignedAccountRecord
  /** Unpadded base64 of 32 bytes. */
  readonly accessKeyHash: string
  /** Where the relay asks for one. */
  readonly token?: string
}

/** What lets a mail in: the recipient's access key, or work. */
export type MailAccess = { readonly accessKey: string } | { readonly proof: MailProof }

export type Deposit = { readonly mail: SealedMail; readonly access: MailAccess }

export type MailboxRefusal = { readonly code: MailRefusal; readonly record?: SignedAccountRecord }

const LANES: readonly MailLane[] = ['keys', 'events', 'strangers']
const REFUSALS: readonly MailRefusal[] = [
  'unknown-recipient',
  'old-key',
  'old-record',
  'bad-access',
  'quota',
  'too-large',
  'too-fast',
  'not-allowed',
  'nonsense',
]
const KEY_ID = /^[A-Za-z0-9_-]{1,32}$/
const KEY_BYTES = 32

export const encodeMailboxHello = ({ proofBits, retentionMs }: MailboxHello): Uint8Array =>
  encodeJson({ proofBits, retentionMs })

/** `undefined` also for a relay that asks for more work than anybody does, or keeps mail for less time than is worth it. */
export function decodeMailboxHello(body: Uint8Array): MailboxHello | undefined {
  const value = decodeJson(body)
  if (!isJsonObject(value)) return undefined
  const { proofBits, retentionMs } = value
  if (!isCount(proofBits) || proofBits > MAX_PROOF_BITS) return undefined
  return isCount(retentionMs) && retentionMs >= MIN_RETENTION_MS ? { proofBits, retentionMs } : undefined
}

export function encodeRegistration(registration: MailboxRegistration): Uint8Array {
  const { certificate, record, accessKeyHash, token } = registration
  return encodeJson({
    certificate: { certificate: certificate.certificate, signature: certificate.signature },
    record: accountRecords.json(record),
    accessKeyHash,
    ...(token === undefined ? {} : { token }),
  })
}

/** Shape only. */
export function decodeRegistration(body: Uint8Array): MailboxRegistration | undefined {
  const value = decodeJson(body)
  if (!isJsonObject(value)) return undefined
  const certificate = decodeSignedCertificate(value['certificate'] ?? null)
  const record = accountRecords.parse(value['record'] ?? null)
  const { accessKeyHash, token } = value
  if (certificate === undefined || record === undefined || !isKey(accessKeyHash)) return undefined
  if (token === undefined) return { certificate, record, accessKeyHash }
  if (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH) return undefined
  return { certificate, record, accessKeyHash, token }
}

export const encodeCursor = (cursor: number): Uint8Array => encodeJson({ cursor })

export function decodeCursor(body: Uint8Array): number | undefined {
  const value = decodeJson(body)
  return isJsonObject(value) && isCount(value['cursor']) ? value['cursor'] : undefined
}

export function encodeRefusal({ code, record }: MailboxRefusal): Uint8Array {
  return encodeJson(record === undefined ? { code } : { code, record: accountRecords.json(record) })
}

/** A code that this version does not know is `nonsense`. `undefined` for what is no refusal. */
export function decodeRefusal(body: Uint8Array): MailboxRefusal | undefined {
  const value = decodeJson(body)
  if (!isJsonObject(value) || typeof value['code'] !== 'string') return undefined
  const code = REFUSALS.find((known) => known === value['code']) ?? 'nonsense'
  if (value['record'] === undefined) return { code }
  const record = accountRecords.parse(value['record'])
  return record === undefined ? undefined : { code, record }
}

export function encodeDeposit({ mail, access }: Deposit): Message {
  const { recipient, lane, keyId, expires, bytes } = mail
  const given: JsonObject = 'accessKey' in access ? { accessKey: access.accessKey } : { proof: access.proof }
  return { header: encodeJson({ recipient, lane, keyId, expires, ...given }), body: bytes }
}

/** Shape only: whether the access counts is the relay's to say. */
export function decodeDeposit({ header, body }: Message): Deposit | undefined {
  const value = decodeJson(header)
  if (!isJsonObject(value)) return undefined
  const recipient = readName(value['recipient'])
  const label = readLabel(value)
  const access = readAccess(value)
  if (recipient === undefined || label === undefined || access === undefined) return undefined
  return { mail: { recipient, ...label, bytes: body }, access }
}

/** The recipient is who asked. */
export function encodeKeptMail({ cursor, mail }: KeptMail): Message {
  const { lane, keyId, expires, bytes } = mail
  return { header: encodeJson({ cursor, lane, keyId, expires }), body: bytes }
}

export function decodeKeptMail({ header, body }: Message, recipient: ServerName): KeptMail | undefined {
  const value = decodeJson(header)
  if (!isJsonObject(value) || !isCount(value['cursor'])) return undefined
  const label = readLabel(value)
  if (label === undefined) return undefined
  return { cursor: value['cursor'], mail: { recipient, ...label, bytes: body } }
}

/** Sends a message as one frame of `kind` and as many parts as it takes, one behind the other. */
export function sendMessage(channel: FrameChannel, kind: number, id: number, message: Message): void {
  for (let offset = 0; offset < messageBytes(message); offset += MAX_FRAME_BODY)
    channel.send(offset === 0 ? kind : MailboxFrame.part, id, messagePart(message, offset))
}

/** Puts the messages of one direction together, one at a time. */
export interface MailReader {
  /** Bytes kept of the unfinished message. */
  readonly kept: number
  /** Takes a frame that begins a message (`first`) or goes on with it. After a fault the stream is to be closed. */
  add(id: number, first: boolean, body: Uint8Array): Message | MessageFault | 'part out of turn' | undefined
}

export function createMailReader(): MailReader {
  let current: { readonly id: number; readonly assembly: Assembly } | undefined
  return {
    get kept() {
      return current?.assembly.received ?? 0
    },
    add(id, first, body) {
      if (first !== (current === undefined) || (current !== undefined && current.id !== id))
        return 'part out of turn'
      current ??= { id, assembly: createAssembly({ header: MAX_MAIL_HEADER_BYTES, body: MAX_MAIL_BYTES }) }
      const message = current.assembly.add(body)
      if (message !== undefined) current = undefined
      return message
    },
  }
}

function readName(value: JsonValue | undefined): ServerName | undefined {
  return typeof value === 'string' && value.length <= MAX_NAME_LENGTH ? parseServerName(value) : undefined
}

function readLabel(value: JsonObject): Pick<SealedMail, 'lane' | 'keyId' | 'expires'> | undefined {
  const { keyId, expires } = value
  const lane = LANES.find((known) => known === value['lane'])
  if (lane === undefined || typeof keyId !== 'string' || !KEY_ID.test(keyId)) return undefined
  return isCount(expires) ? { lane, keyId, expires } : undefined
}

function readAccess(value: JsonObject): MailAccess | undefined {
  const { accessKey, proof } = value
  if (accessKey !== undefined) return isKey(accessKey) ? { accessKey } : undefined
  if (!isJsonObject(proof) || !isCount(proof['day']) || !isCount(proof['nonce'])) return undefined
  return { proof: { day: proof['day'], nonce: proof['nonce'] } }
}

function isKey(value: JsonValue | undefined): value is string {
  return typeof value === 'string' && value.length <= 44 && decodeBase64(value)?.length === KEY_BYTES
}
