/** What the framework and the users endpoints need of the engine. */
import type { AppServiceCalls, AppServices, Caller, Users } from '@plexus/engine'

/** The user and device behind an access token. */
export type Requester = Caller

/** The device of an application service that names none: no device has this id. */
export const NO_DEVICE = ''

export interface UserServices {
  readonly users: Users
  readonly appServices: AppServices & AppServiceCalls
}
