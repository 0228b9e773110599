import type { Endpoint } from '../endpoint.ts'
import { versions } from './rooms/versions.ts'
import { wellKnown } from './rooms/well-known.ts'
import { summary } from './rooms/room-summary.ts'
import { hierarchy } from './rooms/hierarchy.ts'
import { mutualRooms } from './rooms/mutual-rooms.ts'
import { allState } from './rooms/all-state.ts'
import { oneState } from './rooms/one-state.ts'
import { putState } from './rooms/put-state.ts'
import { members } from './rooms/members.ts'
import { joinedMembers } from './rooms/joined-members.ts'
import { joinedRooms } from './rooms/joined-rooms.ts'
import { postSend, send } from './rooms/send.ts'
import { postRedact, redact } from './rooms/redact.ts'
import { reportRoom } from './rooms/report-room.ts'
import { reportEvent } from './rooms/report-event.ts'
import { reportUser } from './rooms/report-user.ts'
import { join } from './rooms/join.ts'
import { joinById } from './rooms/join-by-id.ts'
import { knock } from './rooms/knock.ts'
import { invite } from './rooms/invite.ts'
import { leave } from './rooms/leave.ts'
import { forget } from './rooms/forget.ts'
import { kick } from './rooms/kick.ts'
import { ban } from './rooms/ban.ts'
import { unban } from './rooms/unban.ts'
import { messages } from './rooms/messages.ts'
import { event } from './rooms/event.ts'
import { context } from './rooms/context.ts'
import { relations } from './rooms/relations.ts'
import { timestampToEvent } from './rooms/timestamp-to-event.ts'
import { receipt } from './rooms/receipt.ts'
import { readMarkers } from './rooms/read-markers.ts'
import { typing } from './rooms/typing.ts'
import { getAlias } from './rooms/get-alias.ts'
import { putAlias } from './rooms/put-alias.ts'
import { deleteAlias } from './rooms/delete-alias.ts'
import { aliasesOfRoom } from './rooms/aliases-of-room.ts'
import { getVisibility } from './rooms/get-visibility.ts'
import { putVisibility } from './rooms/put-visibility.ts'
import { publicRooms } from './rooms/public-rooms.ts'
import { searchPublicRooms } from './rooms/search-public-rooms.ts'
import { createRoom } from './rooms/create-room.ts'
import { roomInitialSync } from './rooms/room-initial-sync.ts'
import { events } from './rooms/events.ts'
import { initialSync } from './rooms/initial-sync.ts'
import { oneEvent } from './rooms/one-event.ts'
import { search } from './rooms/search.ts'
import { slidingSync } from './rooms/sliding-sync.ts'
import { sync } from './rooms/sync.ts'
import { threads } from './rooms/threads.ts'
import { upgrade } from './rooms/upgrade.ts'

/** Endpoints about sync and rooms. */
export const roomEndpoints: readonly Endpoint[] = [
  versions,
  wellKnown,
  sync,
  slidingSync,
  initialSync,
  events,
  oneEvent,
  search,
  createRoom,
  join,
  joinById,
  knock,
  invite,
  leave,
  forget,
  kick,
  ban,
  unban,
  send,
  postSend,
  redact,
  postRedact,
  reportRoom,
  reportEvent,
  reportUser,
  allState,
  oneState,
  putState,
  members,
  joinedMembers,
  joinedRooms,
  messages,
  roomInitialSync,
  event,
  context,
  relations,
  timestampToEvent,
  receipt,
  readMarkers,
  typing,
  getAlias,
  putAlias,
  deleteAlias,
  aliasesOfRoom,
  getVisibility,
  putVisibility,
  publicRooms,
  searchPublicRooms,
  summary,
  hierarchy,
  mutualRooms,
  threads,
  upgrade,
]
