/** The presence section of `/sync`. spec: client-server-api/modules/presence.md */
import type { JsonObject, UserId } from '@plexus/core'
import { presenceContent } from '../rooms-ephemeral/index.ts'
import type { MembershipRecord } from '../rooms/types.ts'
import { snapshotsOf } from '../users/sharing.ts'
import { allows } from './filter.ts'
import type { SectionDeps } from './room-sections.ts'
import type { SyncRequest } from './types.ts'

/** Users of one answer. */
export const MAX_PRESENCE_EVENTS = 1_000

/**
 * Of those who share a room with the recipient: whose presence changed after `serial`, and who is here of the rooms that
 * the recipient joined after the position `from`, and of those who `arrived` in another one.
 */
export async function presenceEvents(
  { rooms, presence, clock }: SectionDeps,
  { filter }: SyncRequest,
  { from, serial }: { readonly from: number; readonly serial: number },
  rows: readonly MembershipRecord[],
  arrived: ReadonlySet<UserId>,
): Promise<readonly JsonObject[]> {
  const changed = new Set(presence.changedSince(serial))
  const fresh = rows.filter(({ position }) => position > from)
  if (changed.size === 0 && fresh.length === 0 && arrived.size === 0) return []
  const members = (all: readonly { readonly joinedMembers: readonly UserId[] }[]): Set<UserId> =>
    new Set(all.flatMap(({ joinedMembers }) => joinedMembers))
  const met = [...members(await snapshotsOf(rooms, fresh)), ...arrived].filter(
    (userId) => (presence.get(userId)?.presence ?? 'offline') !== 'offline',
  )
  const known = changed.size === 0 ? new Set<UserId>() : members(await snapshotsOf(rooms, rows))
  const shown = new Set([...met, ...[...changed].filter((userId) => known.has(userId))])
  return [...shown].slice(0, MAX_PRESENCE_EVENTS).flatMap((userId) => {
    const record = presence.get(userId)
    if (record === undefined) return []
    const event = { type: 'm.presence', sender: userId, content: presenceContent(record, clock.now()) }
    return allows(filter.presence, event) ? [event] : []
  })
}
