/** All endpoints that this server answers. */
import type { Endpoint } from '../request.ts'
import type { Services } from '../services.ts'
import { backfill } from './backfill.ts'
import { eventAuth } from './event-auth.ts'
import { event } from './event.ts'
import { exchangeThirdPartyInvite } from './exchange-third-party-invite.ts'
import { extremities } from './extremities.ts'
import { getMissingEvents } from './get-missing-events.ts'
import { hierarchy } from './hierarchy.ts'
import { invite, inviteV1 } from './invite.ts'
import { makeMembership } from './make-membership.ts'
import { mediaDownload } from './media-download.ts'
import { mediaThumbnail } from './media-thumbnail.ts'
import { openIdUserInfo } from './openid-userinfo.ts'
import { publicRooms, searchPublicRooms } from './public-rooms.ts'
import { notaryQueries } from './notary-queries.ts'
import { notaryQuery } from './notary-query.ts'
import { queryDirectory } from './query-directory.ts'
import { queryProfile } from './query-profile.ts'
import { query } from './query.ts'
import { sendJoin, sendJoinV1 } from './send-join.ts'
import { sendKnock } from './send-knock.ts'
import { sendLeave, sendLeaveV1 } from './send-leave.ts'
import { send } from './send.ts'
import { serverKeys } from './server-keys.ts'
import { stateIds } from './state-ids.ts'
import { state } from './state.ts'
import { timestampToEvent } from './timestamp-to-event.ts'
import { userDevices } from './user-devices.ts'
import { userKeysClaim } from './user-keys-claim.ts'
import { userKeysQuery } from './user-keys-query.ts'
import { version } from './version.ts'

export const ENDPOINTS: readonly Endpoint<Services>[] = [
  send,
  makeMembership('join'),
  makeMembership('leave'),
  makeMembership('knock'),
  sendJoin,
  sendJoinV1,
  sendLeave,
  sendLeaveV1,
  sendKnock,
  invite,
  inviteV1,
  exchangeThirdPartyInvite,
  getMissingEvents,
  backfill,
  event,
  state,
  stateIds,
  eventAuth,
  queryProfile,
  queryDirectory,
  // After those that it would hide.
  query,
  publicRooms,
  searchPublicRooms,
  hierarchy,
  timestampToEvent,
  ...extremities,
  userDevices,
  userKeysQuery,
  userKeysClaim,
  mediaDownload,
  mediaThumbnail,
  openIdUserInfo,
  version,
  ...serverKeys,
  notaryQuery,
  notaryQueries,
]
