export { createRoomDirectory, listAliases } from './directory.ts'
export { publicRoomsJson, roomSummary, spaceChildState } from './json.ts'
export { MAX_PUBLIC_PAGE } from './public-rooms.ts'
export type * from './types.ts'
