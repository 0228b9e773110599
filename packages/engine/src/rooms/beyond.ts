/** What goes where those who know each other, or are one, would fill all. */
import type { ServerName } from '@plexus/core'

/** Those that go so that `max` are left: each time the first of the server that has most. `rows`: in the order in which they go. */
export function beyond<Row>(
  rows: readonly Row[],
  originOf: (row: Row) => ServerName,
  max: number,
): readonly Row[] {
  const queues = [...Map.groupBy(rows, originOf).values()]
  const gone: Row[] = []
  while (rows.length - gone.length > max)
    gone.push(...queues.reduce((most, queue) => (queue.length > most.length ? queue : most)).splice(0, 1))
  return gone
}
