/** Aliases of this server's rooms and the list of rooms that it publishes. */
import type { RoomAlias, RoomId, ServerName, UserId } from '@plexus/core'

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

export interface RoomDirectory {
  /** A local alias, or another server's by its own word. @throws RoomError M_NOT_FOUND */
  resolve(alias: RoomAlias, signal?: AbortSignal): Promise<ResolvedAlias>
  /** For the federation's `/query/directory`: local aliases only. */
  resolveLocal(alias: RoomAlias): Promise<ResolvedAlias | undefined>
  /** @throws RoomError M_INVALID_PARAM for another server's alias, M_LIMIT_EXCEEDED; `taken` when it is in use. */
  create(alias: RoomAlias, roomId: RoomId, userId: UserId): Promise<'created' | 'taken'>
  /** Its maker may remove it, and who may set the room's canonical alias. @throws RoomError M_NOT_FOUND, M_FORBIDDEN */
  remove(alias: RoomAlias, userId: UserId): Promise<void>
  aliasesOf(roomId: RoomId): Promise<readonly RoomAlias[]>
  isPublished(roomId: RoomId): Promise<boolean>
  setPublished(roomId: RoomId, published: boolean): Promise<void>
  /** The published rooms, those with most members first. */
  published(): Promise<readonly PublishedRoom[]>
}
