/** What the endpoints need of the engine. */
import type { RoomServices } from './services-rooms.ts'
import type { UserServices } from './services-users.ts'

export { NO_DEVICE, type Requester } from './services-users.ts'

export interface ApiEngine extends RoomServices, UserServices {}
