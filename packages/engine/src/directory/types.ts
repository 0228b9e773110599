/** Aliases of this server's rooms and the list of rooms that it publishes. */
import type { JsonObject, RoomAlias, RoomId, ServerName, UserId } from '@plexus/core'

export type ResolvedAlias = { readonly roomId: RoomId; readonly servers: readonly ServerName[] }

export type PublishedRoom = {
  readonly roomId: RoomId
  readonly name?: string
  readonly topic?: string
  readonly avatarUrl?: string
  readonly canonicalAlias?: string
  readonly joinRule?: string
  readonly roomType?: string
  readonly joinedMembers: number
  readonly worldReadable: boolean
  readonly guestCanJoin: boolean
}

/** A page of a list of published rooms; the tokens are of the server whose list it is. */
export type PublicRoomsPage = {
  readonly rooms: readonly PublishedRoom[]
  readonly total?: number
  readonly next?: string
  readonly previous?: string
}

export type PublicRoomsQuery = {
  readonly limit?: number | undefined
  readonly since?: string | undefined
  readonly term?: string | undefined
  readonly types?: readonly (string | null)[] | undefined
  /** A network of an application service, by its `instance_id`; the rooms of the server itself if absent. */
  readonly network?: string | undefined
  readonly everyNetwork?: boolean | undefined
}

/** spec: data/api/client-server/definitions/room_summary.yaml */
export type RoomDescription = PublishedRoom & {
  /** Absent where another server does not tell. */
  readonly version?: string
  readonly encryption?: string
  /** The rooms whose members may join a restricted room. */
  readonly allowedRooms: readonly string[]
}

/** A room of a space. spec: client-server-api/modules/spaces.md "m.space.child" */
export type SpaceChild = {
  readonly roomId: RoomId
  readonly suggested: boolean
  readonly event: { readonly sender: UserId; readonly content: JsonObject; readonly sentAt: number }
}

/** A room of a space with the children that it names, in their order; a room that is no space has none. */
export type SpaceRoom = RoomDescription & { readonly children: readonly SpaceChild[] }

/** What a server tells another one of a space. spec: data/api/server-server/space_hierarchy.yaml */
export type SpaceHierarchy = {
  readonly room: SpaceRoom
  readonly children: readonly RoomDescription[]
  readonly inaccessible: readonly RoomId[]
}

export type SpaceWalk = { readonly maxDepth: number; readonly suggestedOnly: boolean }

export interface RoomDirectory {
  /** Announces nothing any more. */
  close(): void
  /**
   * A room as somebody who is not in it may see it, by the word of one of `via` where this node has no member in it:
   * `undefined` when they may not, or it cannot be found.
   */
  describe(
    roomId: RoomId,
    userId: UserId | undefined,
    via: readonly ServerName[],
    signal?: AbortSignal,
  ): Promise<RoomDescription | undefined>
  /** The rooms of a space that a user may see, depth first, each once; empty when they may not see the space itself. */
  walk(roomId: RoomId, userId: UserId, how: SpaceWalk, signal?: AbortSignal): Promise<readonly SpaceRoom[]>
  /** The same for another server, one level deep: `undefined` when it may not see the space, or it is not known here. */
  hierarchyFor(
    origin: ServerName,
    roomId: RoomId,
    suggestedOnly: boolean,
  ): Promise<SpaceHierarchy | undefined>
  /** A local alias, or another server's by its own word. @throws RoomError M_NOT_FOUND */
  resolve(alias: RoomAlias, signal?: AbortSignal): Promise<ResolvedAlias>
  /** True for an alias of this server that is taken; no service is asked for it. */
  holds(alias: RoomAlias): Promise<boolean>
  /** For the federation's `/query/directory`: local aliases only, for which application services are asked. */
  resolveLocal(alias: RoomAlias): Promise<ResolvedAlias | undefined>
  /** @throws RoomError M_INVALID_PARAM for another server's alias, M_LIMIT_EXCEEDED; `taken` when it is in use. */
  create(alias: RoomAlias, roomId: RoomId, userId: UserId): Promise<'created' | 'taken'>
  /**
   * Its maker may remove it, who may set the room's canonical alias, and without a user whoever asks. Resolves with the
   * room that it led to.
   * @throws RoomError M_NOT_FOUND, M_FORBIDDEN
   */
  remove(alias: RoomAlias, userId: UserId | undefined): Promise<RoomId>
  aliasesOf(roomId: RoomId): Promise<readonly RoomAlias[]>
  isPublished(roomId: RoomId): Promise<boolean>
  /** `network` as in `publicRooms`. @throws RoomError M_LIMIT_EXCEEDED */
  setPublished(roomId: RoomId, published: boolean, network?: string): Promise<void>
  /** The rooms that this server publishes, those with most members first. @throws RoomError M_INVALID_PARAM for `since`. */
  publicRooms(query: PublicRoomsQuery): Promise<PublicRoomsPage>
  /** The same of another server, by its own word. @throws RoomError when it does not tell. */
  publicRoomsOf(server: ServerName, query: PublicRoomsQuery, signal?: AbortSignal): Promise<PublicRoomsPage>
}
