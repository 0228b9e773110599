import type { Endpoint } from '../endpoint.ts'
import { createRoom } from './rooms/create-room.ts'
import {
  aliasesOfRoom,
  deleteAlias,
  getAlias,
  getVisibility,
  publicRooms,
  putAlias,
  putVisibility,
  searchPublicRooms,
} from './rooms/directory.ts'
import { readMarkers, receipt, typing } from './rooms/ephemeral.ts'
import { context, event, messages, relations, timestampToEvent } from './rooms/events.ts'
import { roomInitialSync } from './rooms/initial-sync.ts'
import { ban, forget, invite, join, joinById, kick, knock, leave, unban } from './rooms/membership.ts'
import { reportEvent, reportRoom, reportUser } from './rooms/report.ts'
import { redact, send } from './rooms/send.ts'
import { allState, joinedMembers, joinedRooms, members, oneState, putState } from './rooms/state.ts'
import { hierarchy, mutualRooms, roomSummary } from './rooms/summary.ts'
import { sync } from './rooms/sync.ts'
import { threads } from './rooms/threads.ts'
import { upgrade } from './rooms/upgrade.ts'
import { versions, wellKnown } from './rooms/versions.ts'

/** Endpoints about sync and rooms. */
export const roomEndpoints: readonly Endpoint[] = [
  versions,
  wellKnown,
  sync,
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
  redact,
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
  roomSummary,
  hierarchy,
  mutualRooms,
  threads,
  upgrade,
]
