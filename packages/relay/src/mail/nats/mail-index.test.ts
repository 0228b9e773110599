import { describe, expect, it } from 'vitest'
import { createMailIndex, NOBODY, type IndexedMail, type MailIndex, type RecordLabel } from './mail-index.ts'

const TOKEN = 't'
const mail = (seq: number): IndexedMail => ({ seq, lane: 'keys', size: 10, until: 99, hash: `h${seq}` })
const live = (id: string, devices: readonly string[] = ['one', 'two']): RecordLabel => ({
  name: 'k51',
  devices,
  expires: 99,
  id,
})

function indexOf(...mails: readonly number[]): MailIndex {
  const index = createMailIndex()
  index.putRecord(TOKEN, 0, { seq: 1, label: live('a') })
  for (const seq of mails) index.addMail(TOKEN, mail(seq))
  return index
}
const seqs = (index: MailIndex): number[] | undefined => index.box(TOKEN)?.mails.map(({ seq }) => seq)

describe('the index of mail in NATS', () => {
  it('has each mail once and in order, whatever order it learns of them in', () => {
    const index = indexOf(5, 9, 7, 5)
    expect(seqs(index)).toEqual([5, 7, 9])
    expect(index.addMail(TOKEN, mail(7))).toBe('known')
    expect(index.totals()).toEqual({ mailboxes: 1, mails: 3, bytes: 30 })
    expect(index.box(TOKEN)?.last).toBe(9)
  })

  it('removes what all devices have, and takes nothing of that again', () => {
    const index = indexOf(5, 7, 9)
    index.acknowledge(TOKEN, 'one', 9)
    expect(index.removeAcknowledged(TOKEN)).toBe(0)
    index.acknowledge(TOKEN, 'two', 7)
    index.acknowledge(TOKEN, 'two', 5)
    expect(index.removeAcknowledged(TOKEN)).toBe(7)
    expect(seqs(index)).toEqual([9])
    expect(index.box(TOKEN)?.has('h7')).toBe(false)
    expect(index.addMail(TOKEN, mail(7))).toBe('acknowledged')
    expect(index.box(TOKEN)?.used.keys).toEqual({ mails: 1, bytes: 10 })
  })

  it('knows where the next mail comes from what devices have, or had', () => {
    const index = createMailIndex()
    index.putRecord(TOKEN, 0, { seq: 1, label: live('a') })
    index.acknowledge(TOKEN, NOBODY, 12)
    index.acknowledge(TOKEN, 'one', 8)
    expect(index.box(TOKEN)?.last).toBe(12)
  })

  it('takes of versions of a record those that follow the newest', () => {
    const index = indexOf()
    expect(index.putRecord(TOKEN, 1, { seq: 4, label: live('b') })).toBe(true)
    // Written on what is no more, or the same again.
    expect(index.putRecord(TOKEN, 0, { seq: 6, label: live('c') })).toBe(false)
    expect(index.putRecord(TOKEN, 1, { seq: 4, label: live('b') })).toBe(false)
    // What it follows is removed, and was not seen.
    expect(index.putRecord(TOKEN, 5, { seq: 8, label: live('d') })).toBe(true)
    expect(index.box(TOKEN)?.record?.seq).toBe(8)
  })

  it('forgets devices that a record leaves out, but not what nobody has', () => {
    const index = indexOf(5)
    for (const device of ['one', 'two', NOBODY]) index.acknowledge(TOKEN, device, 3)
    index.putRecord(TOKEN, 1, { seq: 4, label: live('b', ['two']) })
    expect([...(index.box(TOKEN)?.acknowledged.keys() ?? [])]).toEqual(['two', NOBODY])
  })

  it('begins anew, from nothing or from the end, once a mailbox has ended', () => {
    const index = indexOf()
    index.putShelf(TOKEN, 'u', 0, { seq: 2, label: { id: 's', size: 10, keys: 1 } })
    index.putShelf(TOKEN, 'u', 2, { seq: 3, label: { id: 's2', size: 30, keys: 1 } })
    expect(index.shelfBytes).toBe(30)
    index.putRecord(TOKEN, 1, { seq: 4, label: { gone: 1, id: 'b' } })
    expect(index.totals().mailboxes).toBe(0)
    expect(index.box(TOKEN)?.shelves.size).toBe(0)
    expect(index.shelfBytes).toBe(0)
    expect(index.putRecord(TOKEN, 0, { seq: 6, label: live('c') })).toBe(true)
    expect(index.putShelf(TOKEN, 'u', 0, { seq: 7, label: { id: 't', size: 7, keys: 1 } })).toBe(true)
    expect(index.shelfBytes).toBe(7)
    expect(index.totals().mailboxes).toBe(1)
  })

  it('raises cursors with each run of a relay, never back', () => {
    const index = indexOf()
    index.raiseCursors(2, 1_000)
    index.raiseCursors(10, 500)
    index.raiseCursors(20, 3_000)
    index.raiseCursors(10, 9_000)
    expect([1, 2, 11, 20, 21].map((seq) => index.cursorOf(seq))).toEqual([1, 1_002, 1_011, 3_020, 3_021])
  })
})
