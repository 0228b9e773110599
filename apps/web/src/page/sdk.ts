/**
 * What the app takes of matrix-js-sdk, from its parts: the whole would bring widgets and group calls, and with them a
 * fifth more to load.
 */
export type { RoomMessageEventContent } from 'matrix-js-sdk/lib/@types/events.js'
export { EventType, MsgType, RelationType } from 'matrix-js-sdk/lib/@types/event.js'
export { KnownMembership } from 'matrix-js-sdk/lib/@types/membership.js'
export { Preset, Visibility } from 'matrix-js-sdk/lib/@types/partials.js'
export { ClientEvent, MatrixClient, PendingEventOrdering } from 'matrix-js-sdk/lib/client.js'
export { DecryptionFailureCode } from 'matrix-js-sdk/lib/crypto-api/index.js'
export { MatrixError } from 'matrix-js-sdk/lib/http-api/errors.js'
export { Filter } from 'matrix-js-sdk/lib/filter.js'
export { logger as sdkLogger, type Logger } from 'matrix-js-sdk/lib/logger.js'
export { MatrixEvent, MatrixEventEvent, type IEvent } from 'matrix-js-sdk/lib/models/event.js'
export { EventStatus } from 'matrix-js-sdk/lib/models/event-status.js'
export { Direction } from 'matrix-js-sdk/lib/models/event-timeline.js'
export type { IRoomTimelineData } from 'matrix-js-sdk/lib/models/event-timeline-set.js'
export { RoomEvent, type Room } from 'matrix-js-sdk/lib/models/room.js'
export { RoomMemberEvent, type RoomMember } from 'matrix-js-sdk/lib/models/room-member.js'
export { RoomStateEvent, type RoomState } from 'matrix-js-sdk/lib/models/room-state.js'
export { MatrixScheduler } from 'matrix-js-sdk/lib/scheduler.js'
export { MemoryStore } from 'matrix-js-sdk/lib/store/memory.js'
export { SyncState } from 'matrix-js-sdk/lib/sync.js'
