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

/** spec: data/api/client-server/definitions/room_summary.yaml */
export type RoomDescription = PublishedRoom & {
  readonly version: string
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

export interface RoomDirectory {
  /** A room as somebody who is not in it may see it: `undefined` when they may not, or it is not known here. */
  describe(roomId: RoomId, userId: UserId | undefined): Promise<RoomDescription | undefined>
  /** The children of a space in their order; empty for what is no space. */
  childrenOf(roomId: RoomId): Promise<readonly SpaceChild[]>
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
  /** `network` as in `published`. @throws RoomError M_LIMIT_EXCEEDED */
  setPublished(roomId: RoomId, published: boolean, network?: string): Promise<void>
  /**
   * The rooms that this server publishes, those with most members first; those of one network of an application service
   * (its `instance_id`), or of `every` one and the server.
   */
  published(network?: string, every?: boolean): Promise<readonly PublishedRoom[]>
}
