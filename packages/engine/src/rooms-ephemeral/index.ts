export { createReadMarkers } from './read-markers.ts'
export { createReceipts, MAX_RECEIPTS_PER_EDU, MAX_THREADS_PER_USER } from './receipts.ts'
export type { ReceiptsDeps } from './receipts.ts'
export type * from './types.ts'
export {
  createTyping,
  MAX_TYPING_MS,
  MAX_TYPING_ROOMS,
  MAX_TYPING_USERS,
  REMOTE_TYPING_MS,
} from './typing.ts'
