/** What the framework and the users endpoints need of the engine. */
import type { UserId } from '@plexus/core'

/** The user and device behind an access token. */
export type Requester = { readonly userId: UserId; readonly deviceId: string }

/** `softLogout`: the token has expired, and the client may log in again with its device. */
export type Authentication =
  | { readonly kind: 'requester'; readonly requester: Requester }
  | { readonly kind: 'unknown'; readonly softLogout: boolean }

export interface UserServices {
  /** Whose token it is. Called for every request of a user, so it answers from memory. */
  authenticate(accessToken: string): Promise<Authentication>
}
