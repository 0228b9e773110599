export { createRoomDirectory, MAX_ALIASES_PER_USER, MAX_PUBLISHED_ROOMS } from './directory.ts'
export type * from './types.ts'
