import type { EventId, RoomId } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { createNewestRows, MAX_NEWEST_ROOMS, MAX_NEWEST_ROWS, type NewestRows } from './newest-rows.ts'
import type { EventRecord } from './types.ts'

const ROOM = '!a' as RoomId
const record = (order: number | undefined, roomId = ROOM): EventRecord =>
  ({ id: `$${order}` as EventId, roomId, ...(order === undefined ? {} : { order }) }) as EventRecord

function rowsOf(...orders: readonly (number | undefined)[]): NewestRows {
  const rows = createNewestRows()
  for (const order of orders) rows.add(record(order))
  return rows
}

const ordersIn = (rows: NewestRows, from: number, to: number, options = {}): number[] | undefined =>
  rows.range(ROOM, from, to, options)?.map(([[, order]]) => order)

describe('the newest rows of a timeline', () => {
  it('are found as in the store', () => {
    const rows = rowsOf(5, 7, 9)
    expect(ordersIn(rows, 5, 9)).toEqual([5, 7])
    expect(ordersIn(rows, 6, 100, { reverse: true, limit: 1 })).toEqual([9])
    expect(ordersIn(rows, 10, 100)).toEqual([])
    expect(rows.range(ROOM, 7, 8, {})).toEqual([[[ROOM, 7], '$7']])
  })

  it('are not known of other rooms and from before the first that came', () => {
    const rows = rowsOf(5)
    expect(ordersIn(rows, 4, 6)).toBe(undefined)
    expect(rows.range('!b' as RoomId, 5, 6, {})).toBe(undefined)
    rows.clear()
    expect(ordersIn(rows, 5, 6)).toBe(undefined)
  })

  it('leave out history, what has no place, and what is committed again', () => {
    expect(ordersIn(rowsOf(5, -1, undefined, 7, 5), 5, 8)).toEqual([5, 7])
  })

  it('are bounded', () => {
    const rows = rowsOf(...Array.from({ length: 2 * MAX_NEWEST_ROWS + 1 }, (_, index) => index))
    expect(ordersIn(rows, 0, 1)).toBe(undefined)
    expect(ordersIn(rows, MAX_NEWEST_ROWS, 1_000)?.length).toBe(MAX_NEWEST_ROWS + 1)
    for (let index = 0; index < MAX_NEWEST_ROOMS; index += 1) rows.add(record(1, `!${index}` as RoomId))
    expect(ordersIn(rows, MAX_NEWEST_ROWS, 1_000)).toBe(undefined)
  })
})
