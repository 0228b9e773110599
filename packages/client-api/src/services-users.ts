/** What the framework and the users endpoints need of the engine. */
import type { Caller, Users } from '@plexus/engine'

/** The user and device behind an access token. */
export type Requester = Caller

export interface UserServices {
  readonly users: Users
}
