export { createFrameChannel, type ByteStream, type ChannelHandlers, type FrameChannel } from './channel.ts'
export type { Frame } from './frame.ts'
export { createHeartbeat, type Heartbeat } from './heartbeat.ts'
export { certificateFault, type SignedCertificate } from './hello.ts'
export { MAX_DEVICES_PER_NAME, MAX_NAMES_PER_FRAME, MAX_WATCHED_NAMES } from './limits.ts'
export {
  decodeNames,
  decodeRegister,
  encodeEntry,
  encodeNames,
  encodeRegister,
  RELAY_PROTOCOL,
  RelayFrame,
  RelayRefusal,
  type RelayEntry,
  type RelayRefusalCode,
} from './relay.ts'
export { createTokenBucket, type TokenBucket } from './token-bucket.ts'
