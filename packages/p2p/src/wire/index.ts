export { createFrameChannel, type ByteStream, type ChannelHandlers, type FrameChannel } from './channel.ts'
export type { Frame } from './frame.ts'
export { createHeartbeat, type Heartbeat } from './heartbeat.ts'
export { certificateFault, type SignedCertificate } from './hello.ts'
export {
  MAX_DEPOSITS_IN_FLIGHT,
  MAX_DEVICES_PER_NAME,
  MAX_FETCH_BYTES,
  MAX_FRAME_BODY,
  MAX_LAST_BYTES,
  MAX_LAST_MAILS,
  MAX_MAIL_BYTES,
  MAX_MAILS_PER_FETCH,
  MAX_NAMES_PER_FRAME,
  MAX_PROOF_BITS,
  MAX_SHELF_KEY_BYTES,
  MAX_SHELF_KEYS,
  MAX_STRANGER_MAIL_BYTES,
  MAX_WATCHED_NAMES,
  MIN_RETENTION_MS,
  WRITE_HIGH_WATER,
} from './limits.ts'
export {
  createMailReader,
  decodeCursor,
  decodeDeposit,
  decodeKeptMail,
  decodeMailboxHello,
  decodeRefusal,
  decodeRegistration,
  encodeCursor,
  encodeDeposit,
  encodeKeptMail,
  encodeMailboxHello,
  encodeRefusal,
  encodeRegistration,
  MAILBOX_PROTOCOL,
  MailboxFrame,
  sendMessage,
  type Deposit,
  type MailAccess,
  type MailboxHello,
  type MailboxRefusal,
  type MailboxRegistration,
  type MailReader,
} from './mailbox.ts'
export { dayOf, isProof, searchProof, type MailProof, type ProofSubject } from './proof.ts'
export { isPublicAddress } from './public-address.ts'
export {
  createDhtRules,
  decodeDhtKey,
  decodePublished,
  DHT_PROTOCOL,
  encodeDhtKey,
  encodePublished,
  isNewer,
  type Published,
} from './published.ts'
export {
  decodeKeys,
  decodeNames,
  decodeKeyedRecord,
  decodeRegister,
  encodeEntry,
  encodeKeys,
  encodeNames,
  encodeKeyedRecord,
  encodeRegister,
  RELAY_PROTOCOL,
  RelayFrame,
  RelayRefusal,
  type RelayEntry,
  type RelayRefusalCode,
} from './relay.ts'
export {
  decodeShelfAnswer,
  decodeShelfCounts,
  decodeShelfQuestion,
  decodeStock,
  encodeShelfAnswer,
  encodeShelfCounts,
  encodeShelfQuestion,
  encodeStock,
  type ShelfQuestion,
  type Stock,
} from './shelf.ts'
export { createTokenBucket, type TokenBucket } from './token-bucket.ts'
export { decodeJson } from './message.ts'
