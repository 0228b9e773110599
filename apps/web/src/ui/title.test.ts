import { signal } from '@preact/signals'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { InviteSummary, RoomSummary } from './model.ts'
import { followTitle } from './title.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

const room = (unread: number, text: string): RoomSummary => ({
  roomId: '!a',
  name: 'Room',
  encrypted: true,
  memberCount: 2,
  last: { text, time: 1 },
  unread,
})

describe('the title', () => {
  it('is set when its text has changed for a while', () => {
    const titles: string[] = []
    vi.stubGlobal('document', {
      set title(text: string) {
        titles.push(text)
      },
    })
    const rooms = signal<readonly RoomSummary[]>([room(0, 'a')])
    const invites = signal<readonly InviteSummary[]>([])
    const stop = followTitle({ rooms, invites })
    vi.advanceTimersByTime(1_000)
    rooms.value = [room(0, 'b')]
    rooms.value = [room(1, 'c')]
    vi.advanceTimersByTime(100)
    rooms.value = [room(0, 'c')]
    vi.advanceTimersByTime(1_000)
    rooms.value = [room(1, 'd')]
    vi.advanceTimersByTime(100)
    rooms.value = [room(2, 'e')]
    vi.advanceTimersByTime(1_000)
    rooms.value = [room(2, 'f')]
    vi.advanceTimersByTime(1_000)
    rooms.value = [room(3, 'g')]
    stop()
    vi.advanceTimersByTime(1_000)
    expect(titles).toEqual(['Plexus', '(2) Plexus', 'Plexus'])
  })
})
