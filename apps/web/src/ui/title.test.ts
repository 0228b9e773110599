import { signal } from '@preact/signals'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { InviteSummary, RoomSummary } from './model.ts'
import { followTitle } from './title.ts'

afterEach(() => {
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
  it('is set only when its text changes', () => {
    const titles: string[] = []
    vi.stubGlobal('document', {
      set title(text: string) {
        titles.push(text)
      },
    })
    const rooms = signal<readonly RoomSummary[]>([room(0, 'a')])
    const invites = signal<readonly InviteSummary[]>([])
    const stop = followTitle({ rooms, invites })
    rooms.value = [room(0, 'b')]
    rooms.value = [room(2, 'c')]
    rooms.value = [room(2, 'd')]
    stop()
    rooms.value = [room(3, 'e')]
    expect(titles).toEqual(['Plexus', '(2) Plexus', 'Plexus'])
  })
})
