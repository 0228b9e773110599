/**
 * Which member events a device has: what was sent with an answer counts once the device comes back with the token of
 * that answer, so that a lost answer loses nothing. spec: client-server-api/_index.md "Lazy-loading room members"
 */
import type { EventId, RoomId, UserId } from '@plexus/core'
import type { Lru } from '../kernel/lru.ts'
import { createLru } from '../kernel/lru.ts'
import type { Recipient } from './client-event.ts'

/** Devices that are remembered, and member events of each. Forgetting one costs a redundant event. */
export const MAX_LAZY_DEVICES = 1_000
export const MAX_LAZY_MEMBERS = 5_000

type Entry = readonly [key: string, eventId: EventId]
type DeviceMembers = {
  readonly known: Lru<string, EventId>
  confirmed: string | undefined
  pending: { readonly token: string; readonly entries: readonly Entry[] } | undefined
}

/** The member events that one answer may leave out, and those that it brings. */
export interface LazyAnswer {
  has(roomId: RoomId, userId: UserId, eventId: EventId): boolean
  sent(roomId: RoomId, userId: UserId, eventId: EventId): void
  /** The answer goes out with this token. */
  finish(token: string): void
}

export interface LazyMembers {
  /** `since`: the token that the device came with. */
  begin(recipient: Recipient, since: string | undefined): LazyAnswer
}

const keyOf = (roomId: RoomId, userId: UserId): string => `${roomId} ${userId}`

export function createLazyMembers(): LazyMembers {
  const devices = createLru<string, DeviceMembers>(MAX_LAZY_DEVICES)
  return {
    begin({ userId, deviceId }, since) {
      const name = JSON.stringify([userId, deviceId])
      const device: DeviceMembers = devices.get(name) ?? {
        known: createLru(MAX_LAZY_MEMBERS),
        confirmed: undefined,
        pending: undefined,
      }
      devices.set(name, device)
      confirm(device, since)
      const entries: Entry[] = []
      return {
        has: (roomId, member, eventId) => device.known.get(keyOf(roomId, member)) === eventId,
        sent: (roomId, member, eventId) => void entries.push([keyOf(roomId, member), eventId]),
        finish(token) {
          device.pending = { token, entries }
        },
      }
    },
  }
}

function confirm(device: DeviceMembers, since: string | undefined): void {
  if (since !== undefined && device.pending?.token === since) {
    for (const [key, eventId] of device.pending.entries) device.known.set(key, eventId)
    device.confirmed = since
  } else if (since === undefined || since !== device.confirmed) {
    device.known.clear()
    device.confirmed = since
  }
  device.pending = undefined
}
