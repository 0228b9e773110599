/** How the items of a timeline stand to each other: days, and groups of one sender. */
import { dayOf } from './format.ts'
import type { TimelineItem } from './model.ts'

/** Messages of one sender closer together than this stand as one group. */
export const GROUP_MS: number = 5 * 60_000

export type TimelineRow = {
  readonly item: TimelineItem
  /** A line with the day stands above. */
  readonly newDay: boolean
  /** A group begins or ends here. */
  readonly first: boolean
  readonly last: boolean
}

/** Days are asked for again with every new message, and a date costs a microsecond. */
const days = new WeakMap<TimelineItem, number>()

function dayOfItem(item: TimelineItem): number {
  let day = days.get(item)
  if (day === undefined) {
    day = dayOf(item.time)
    days.set(item, day)
  }
  return day
}

export function timelineRows(items: readonly TimelineItem[]): readonly TimelineRow[] {
  return items.map((item, index) => {
    const before = items[index - 1]
    return {
      item,
      newDay: before === undefined || dayOfItem(before) !== dayOfItem(item),
      first: !joins(before, item),
      last: !joins(item, items[index + 1]),
    }
  })
}

function joins(earlier: TimelineItem | undefined, later: TimelineItem | undefined): boolean {
  if (earlier?.kind !== 'message' || later?.kind !== 'message' || earlier.sender !== later.sender)
    return false
  return Math.abs(later.time - earlier.time) < GROUP_MS && dayOfItem(earlier) === dayOfItem(later)
}
