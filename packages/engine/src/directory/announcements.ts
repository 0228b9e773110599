/**
 * Records of the aliases and rooms that this server publishes, for who asks while it is away. DESIGN section 7
 *
 * Invariant: nothing is told of a room that is not on the published list of this server.
 */
import { encodeBase64, parseRoomAlias, type RoomAlias, type RoomId, type ServerName } from '@plexus/core'
import {
  aliasRecords,
  isKeyName,
  listingRecords,
  MAX_ALIAS_RECORD_MS,
  MAX_ALIAS_VIAS,
  MAX_LISTED_NAME_CHARS,
  MAX_LISTED_ROOMS,
  MAX_LISTED_TOPIC_CHARS,
  MAX_LISTING_RECORD_MS,
  type ListedRoom,
} from '@plexus/core/names'
import type { Clock, Directory, Log, Signer } from '../ports.ts'
import type { PublishedRoom } from './types.ts'

/** Milliseconds between announcements, and after a change until the next. */
export const ANNOUNCE_INTERVAL_MS: number = 12 * 3_600_000
export const ANNOUNCE_DELAY_MS = 5_000
/** Aliases that are announced, those of the rooms with the most members. */
export const MAX_ANNOUNCED_ALIASES = 32

export type AnnouncementsDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly signer: Signer
  readonly directory: Pick<Directory, 'publish'>
  /** The published rooms, most members first. */
  readonly published: () => Promise<readonly PublishedRoom[]>
  readonly aliasesOf: (roomId: RoomId) => Promise<readonly RoomAlias[]>
  /** Servers that can let somebody in, best first. */
  readonly viasOf: (roomId: RoomId) => Promise<readonly ServerName[]>
}

export interface Announcements {
  /** Something of what is published changed: it is announced soon. */
  changed(): void
  close(): void
}

export function createAnnouncements(deps: AnnouncementsDeps): Announcements {
  const { clock, log, signer, directory } = deps
  const { name } = signer
  let sequence = 0
  let cancel: () => void = () => undefined
  let hasListing = false

  const head = (validMs: number): { name: ServerName; sequence: number; expires: number } => {
    const now = clock.now()
    sequence = Math.max(now, sequence + 1)
    return { name, sequence, expires: now + validMs }
  }
  const sign = async (bytes: Uint8Array): Promise<string> => encodeBase64(await signer.sign(bytes))

  async function announceAlias(alias: RoomAlias, roomId: RoomId): Promise<void> {
    const vias = (await deps.viasOf(roomId)).slice(0, MAX_ALIAS_VIAS)
    const record = { ...head(MAX_ALIAS_RECORD_MS), alias, roomId, vias }
    await directory.publish({ record, signature: await sign(aliasRecords.bytes(record)) })
  }

  async function announce(): Promise<void> {
    const rooms = await deps.published()
    // An empty list is told where there was another.
    if (rooms.length > 0 || hasListing) {
      hasListing = rooms.length > 0
      const listed = rooms.slice(0, MAX_LISTED_ROOMS).map(listedRoom)
      const record = { ...head(MAX_LISTING_RECORD_MS), rooms: listed }
      await directory.publish({ record, signature: await sign(listingRecords.bytes(record)) })
    }
    let left = MAX_ANNOUNCED_ALIASES
    for (const { roomId } of rooms) {
      const aliases = (await deps.aliasesOf(roomId)).slice(0, left)
      for (const alias of aliases) await announceAlias(alias, roomId)
      left -= aliases.length
      if (left === 0) return
    }
  }

  function schedule(ms: number): void {
    cancel()
    cancel = clock.after(ms, () => {
      schedule(ANNOUNCE_INTERVAL_MS)
      // Relays that come later are told what was published.
      announce().catch((error: unknown) => {
        log.log('debug', 'what is published was not announced', { error: String(error) })
      })
    })
  }

  const isFound = isKeyName(name)
  if (isFound) schedule(ANNOUNCE_DELAY_MS)

  return {
    changed() {
      if (isFound) schedule(ANNOUNCE_DELAY_MS)
    },
    close() {
      cancel()
    },
  }
}

function listedRoom(room: PublishedRoom): ListedRoom {
  const { roomId, joinedMembers, name, topic } = room
  const alias = room.canonicalAlias === undefined ? undefined : parseRoomAlias(room.canonicalAlias)
  return {
    roomId,
    joinedMembers,
    ...(name === undefined ? {} : { name: name.slice(0, MAX_LISTED_NAME_CHARS) }),
    ...(topic === undefined ? {} : { topic: topic.slice(0, MAX_LISTED_TOPIC_CHARS) }),
    ...(alias === undefined ? {} : { canonicalAlias: alias }),
  }
}
