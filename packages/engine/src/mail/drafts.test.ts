import type { RoomId, ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { isDue, LOST_AFTER_MS, RENEW_BEFORE_MS } from './drafts.ts'
import type { Contact, MailRow } from './tables.ts'

const AT = 1_700_000_000_000
const EXPIRES = AT + 30 * 24 * 3_600_000

const contact = (...relays: readonly string[]): Contact => ({
  signed: {
    record: {
      name: 'k51' as ServerName,
      sequence: 1,
      expires: EXPIRES,
      mailboxes: relays.map((peerId) => ({ peerId, multiaddrs: [] })),
      devices: [],
      sealingKeys: [],
    },
    signature: '',
  },
})
const row: MailRow = {
  at: AT,
  expires: EXPIRES,
  relays: ['one', 'two'],
  rooms: [{ roomId: '!r' as RoomId, from: 1, to: 2 }],
}
const keysRow: MailRow = { ...row, rooms: [], edus: { from: 1, to: 1, sequence: 1 } }

describe('a mail is left again', () => {
  const isDueAt = (ms: number, change: Partial<MailRow> = {}, arrivedAt = 0): boolean =>
    isDue({ ...row, ...change }, arrivedAt, contact('one', 'three'), AT + ms)

  it('shortly before it expires', () => {
    expect(isDueAt(0)).toBe(false)
    expect(isDueAt(-LOST_AFTER_MS)).toBe(false)
    expect(isDueAt(-LOST_AFTER_MS - 1)).toBe(true)
    expect(isDueAt(EXPIRES - AT - RENEW_BEFORE_MS)).toBe(false)
    expect(isDueAt(EXPIRES - AT - RENEW_BEFORE_MS + 1)).toBe(true)
  })

  it('half way where it is kept for a short time', () => {
    const DAY_MS = 24 * 3_600_000
    expect(isDueAt(DAY_MS / 2, { expires: AT + DAY_MS })).toBe(false)
    expect(isDueAt(DAY_MS / 2 + 1, { expires: AT + DAY_MS })).toBe(true)
  })

  it('when one that was left well after it has arrived', () => {
    expect(isDueAt(1, {}, AT + LOST_AFTER_MS)).toBe(false)
    expect(isDueAt(1, {}, AT + LOST_AFTER_MS + 1)).toBe(true)
  })

  it('when it is at no relay that its receiver names, unless none is named', () => {
    expect(isDueAt(1, { relays: ['two'] })).toBe(true)
    expect(isDue(row, 0, contact(), EXPIRES)).toBe(false)
  })

  it('after it arrived only for EDUs that wait for those of another', () => {
    expect(isDueAt(EXPIRES, { arrived: true })).toBe(false)
    const arrived: MailRow = { ...keysRow, arrived: true }
    expect(isDue(arrived, 0, contact('one'), AT + LOST_AFTER_MS)).toBe(false)
    expect(isDue(arrived, 0, contact('one'), AT + LOST_AFTER_MS + 1)).toBe(true)
  })
})
