export { createRoomDirectory } from './directory.ts'
export type * from './types.ts'
