/** Account data, push rules, profiles, directory and media, as the APIs see them. */
import type { JsonObject, RoomId, ServerName, UserId } from '@plexus/core'
import type { StreamPosition } from '../kernel/committer.ts'
import type { ThumbnailSize } from '../ports.ts'
import type { RoomSnapshot } from '../rooms/types.ts'
import type { Caller, RemoteOptions } from './types.ts'

// --- Account data, push rules, filters --------------------------------------------------------------------------

export type AccountDataEntry = {
  /** Absent for global account data. */
  readonly roomId?: RoomId
  readonly type: string
  readonly content: JsonObject
  readonly position: StreamPosition
}

export interface AccountData {
  get(userId: UserId, roomId: RoomId | undefined, type: string): Promise<JsonObject | undefined>
  /** Also for the types that the server manages; the endpoint refuses those. @throws UserError M_TOO_LARGE. */
  set(userId: UserId, roomId: RoomId | undefined, type: string, content: JsonObject): Promise<StreamPosition>
  /** Reads, changes and writes without another change between; `undefined` from `change` leaves it alone. */
  update(
    userId: UserId,
    roomId: RoomId | undefined,
    type: string,
    change: (content: JsonObject | undefined) => JsonObject | undefined,
  ): Promise<void>
  /** Entries with a position in (from, to], by position; from 0 gives all, the push rules included. */
  since(userId: UserId, from: StreamPosition, to: StreamPosition): Promise<readonly AccountDataEntry[]>
  /** All entries of one room, whatever their position. */
  ofRoom(userId: UserId, roomId: RoomId): Promise<readonly AccountDataEntry[]>
}

export type PushRuleKind = 'override' | 'content' | 'room' | 'sender' | 'underride'
export const PUSH_RULE_KINDS: readonly PushRuleKind[] = ['override', 'content', 'room', 'sender', 'underride']

export type PushRule = {
  readonly rule_id: string
  readonly default: boolean
  readonly enabled: boolean
  readonly actions: readonly (string | JsonObject)[]
  readonly conditions?: readonly JsonObject[]
  readonly pattern?: string
}

export type PushRuleset = Readonly<Record<PushRuleKind, readonly PushRule[]>>

/** What a rule needs to know about the room, as it was at the event. */
export type PushContext = {
  readonly memberCount: number
  readonly displayName?: string
  readonly senderPowerLevel: number
  /** `notifications` of the power levels; a missing key counts 50. */
  readonly notificationLevels: Readonly<Record<string, number>>
}

export type PushOutcome = {
  readonly notify: boolean
  readonly highlight: boolean
  /** Of the rule that matched; empty for none. */
  readonly actions: readonly (string | JsonObject)[]
}

/** `event` in client form: type, sender, content, state_key for state. */
export type PushEvaluator = (event: JsonObject, context: PushContext) => PushOutcome

export type NewPushRule = {
  readonly actions: readonly (string | JsonObject)[]
  readonly conditions?: readonly JsonObject[]
  readonly pattern?: string
  readonly before?: string
  readonly after?: string
}

/** spec: client-server-api/modules/push.md */
export interface PushRules {
  ruleset(userId: UserId): Promise<PushRuleset>
  /** @throws UserError M_NOT_FOUND. */
  rule(userId: UserId, kind: PushRuleKind, ruleId: string): Promise<PushRule>
  /** @throws UserError M_INVALID_PARAM, M_NOT_FOUND (`before` or `after`), M_LIMIT_EXCEEDED. */
  put(userId: UserId, kind: PushRuleKind, ruleId: string, rule: NewPushRule): Promise<void>
  /** @throws UserError M_NOT_FOUND. */
  delete(userId: UserId, kind: PushRuleKind, ruleId: string): Promise<void>
  setEnabled(userId: UserId, kind: PushRuleKind, ruleId: string, enabled: boolean): Promise<void>
  setActions(
    userId: UserId,
    kind: PushRuleKind,
    ruleId: string,
    actions: readonly (string | JsonObject)[],
  ): Promise<void>
  /** The user's rules of this moment, ready to be applied to many events. */
  evaluator(userId: UserId): Promise<PushEvaluator>
}

export interface Pushers {
  list(userId: UserId): Promise<readonly JsonObject[]>
  /** `pusher` as in the request body; `kind: null` deletes. @throws UserError M_LIMIT_EXCEEDED. */
  set(caller: Caller, pusher: JsonObject): Promise<void>
}

export interface Filters {
  /** Equal filters have equal ids. @throws UserError M_LIMIT_EXCEEDED, M_TOO_LARGE. */
  create(userId: UserId, filter: JsonObject): Promise<string>
  get(userId: UserId, filterId: string): Promise<JsonObject | undefined>
}

// --- Profiles, directory ----------------------------------------------------------------------------------------

/** spec: client-server-api/_index.md "Profiles" */
export interface Profiles {
  /** All fields of a local or remote user. @throws UserError M_NOT_FOUND, M_UNKNOWN when their server is away. */
  get(userId: UserId, options?: RemoteOptions): Promise<JsonObject>
  /** @throws as `get`; M_NOT_FOUND when the field is not set. */
  field(userId: UserId, field: string, options?: RemoteOptions): Promise<JsonObject[string]>
  /** The member event content that a local user joins with: `displayname` and `avatar_url` as far as set. */
  memberContent(userId: UserId): Promise<JsonObject>
  /**
   * `undefined` deletes the field. A new name or avatar goes into the member events of all joined rooms.
   * @throws UserError M_PROFILE_TOO_LARGE, M_KEY_TOO_LARGE, M_INVALID_PARAM.
   */
  set(userId: UserId, field: string, value: JsonObject[string]): Promise<void>
}

export type DirectoryUser = {
  readonly user_id: UserId
  readonly display_name?: string
  readonly avatar_url?: string
}

export interface UserDirectory {
  /**
   * Local users, and those who share a room with `userId` or are in one that anybody may join or read, whose id or name
   * contains the term.
   */
  search(
    userId: UserId,
    term: string,
    limit: number,
  ): Promise<{ readonly results: readonly DirectoryUser[]; readonly limited: boolean }>
}

/** spec: client-server-api/modules/openid.md */
export interface OpenId {
  create(userId: UserId): { readonly token: string; readonly expiresIn: number }
  /** For the federation's `/openid/userinfo`. */
  userOf(token: string): UserId | undefined
}

// --- Calls ------------------------------------------------------------------------------------------------------

export type TurnCredentials = {
  readonly username: string
  readonly password: string
  readonly uris: readonly string[]
  /** Seconds. */
  readonly ttl: number
}

/** spec: client-server-api/modules/voip_events.md */
export interface Turn {
  /** `undefined` where no TURN server is configured. */
  credentials(userId: UserId): TurnCredentials | undefined
}

// --- Media ------------------------------------------------------------------------------------------------------

export type MediaItem = {
  readonly bytes: Uint8Array
  readonly contentType: string
  readonly fileName?: string
}

export type MediaMetadata = { readonly contentType?: string; readonly fileName?: string }

/** spec: client-server-api/modules/content_repo.md */
export interface Media {
  /** Bytes of the largest upload. */
  readonly maxUploadBytes: number
  /** Keeps an upload and answers its media id. @throws UserError M_TOO_LARGE, M_FORBIDDEN (quota). */
  upload(userId: UserId, bytes: Uint8Array, metadata: MediaMetadata): Promise<string>
  /** Reserves a media id for a later upload. @throws UserError M_LIMIT_EXCEEDED. */
  create(userId: UserId): Promise<{ readonly mediaId: string; readonly expiresAt: number }>
  /** Uploads to a reserved id. @throws UserError M_FORBIDDEN, M_CANNOT_OVERWRITE_MEDIA, M_NOT_FOUND, M_TOO_LARGE. */
  complete(userId: UserId, mediaId: string, bytes: Uint8Array, metadata: MediaMetadata): Promise<void>
  /**
   * Own media, or another server's from the cache or by federation.
   * @throws UserError M_NOT_FOUND, M_NOT_YET_UPLOADED, M_TOO_LARGE.
   */
  download(server: ServerName, mediaId: string, options?: RemoteOptions): Promise<MediaItem>
  /** Drops what is kept of another server's media: the next download fetches it anew. Own media stays. */
  forget(server: ServerName, mediaId: string): Promise<void>
}

/** spec: client-server-api/modules/content_repo.md "Thumbnails" */
export interface Thumbnails {
  /**
   * Of media of any server; the media itself where it is no larger than wanted.
   * @throws UserError as `Media.download`; M_UNKNOWN for what is no picture, M_TOO_LARGE, M_LIMIT_EXCEEDED.
   */
  get(server: ServerName, mediaId: string, size: ThumbnailSize, options?: RemoteOptions): Promise<MediaItem>
}

/** spec: client-server-api "GET /media/preview_url" */
export interface Previews {
  /**
   * The Open Graph properties of a page, its picture kept as media of this server.
   * @throws UserError M_FORBIDDEN (an address that is not asked), M_NOT_FOUND (no page), M_LIMIT_EXCEEDED.
   */
  preview(url: string): Promise<JsonObject>
}

export interface UpgradedRooms {
  /** For a user of this server who has joined: copies push rules and tags if the room replaces another. */
  joined(snapshot: RoomSnapshot, userId: UserId): Promise<void>
}
