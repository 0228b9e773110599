export { createRoomDirectory, listAliases } from './directory.ts'
export type * from './types.ts'
