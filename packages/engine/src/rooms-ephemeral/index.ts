export { createReadMarkers } from './read-markers.ts'
export { createReceipts } from './receipts.ts'
export type * from './types.ts'
export { createTyping } from './typing.ts'
