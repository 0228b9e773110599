/** What people are called. */
import { serverOf, localpartOf, parseUserId } from '@plexus/core'
import type { Room, RoomMember } from './sdk.ts'

const SHOWN_OF_KEY = 5

/** For somebody without a name of their own: the first part of the user id and the end of the key. */
export function shortUserId(text: string): string {
  const userId = parseUserId(text)
  if (userId === undefined) return text
  const [label = ''] = serverOf(userId).split('.')
  return `${localpartOf(userId)} …${label.slice(-SHOWN_OF_KEY)}`
}

export function memberName(member: RoomMember): string {
  return member.name === member.userId ? shortUserId(member.userId) : member.name
}

export function nameIn(room: Room, userId: string): string {
  const member = room.getMember(userId)
  return member === null ? shortUserId(userId) : memberName(member)
}
