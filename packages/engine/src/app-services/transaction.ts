/** What one transaction tells a service. spec: application-service-api.md "Pushing events" */
import type { JsonObject } from '@plexus/core'
import { isJsonObject, ownValue } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import type { Store } from '../ports.ts'
import { memberships } from '../rooms/records.ts'
import { fullEvents } from '../sync/client-event.ts'
import { ephemeralNews, type EphemeralDeps, type Heard } from './ephemeral.ts'
import type { Queued, WaitingEvents } from './queue.ts'
import type { AppService } from './types.ts'

export const MAX_TRANSACTION_EVENTS = 100
/** JSON of the events in UTF-16 code units, unless one alone has more. */
export const MAX_TRANSACTION_LENGTH = 2_000_000

export type TransactionDeps = EphemeralDeps & {
  readonly store: Store
  readonly committer: Committer
  readonly queue: WaitingEvents
}

export type Transaction = {
  readonly body: JsonObject
  /** The number of the last queued event in it. */
  readonly last: number
  readonly heard: Heard
}

/** What follows the queued event of the number `last`. The events are none, and so is the rest, when nothing waits. */
export async function gather(
  deps: TransactionDeps,
  service: AppService,
  last: number,
  heard: Heard,
): Promise<Transaction> {
  const { committed } = deps.committer
  const rows = await deps.queue.after(service, last, MAX_TRANSACTION_EVENTS)
  const events: JsonObject[] = []
  let reached = last
  let length = 0
  for (const [number, event] of await eventsOf(deps, rows)) {
    length += event === undefined ? 0 : JSON.stringify(event).length
    if (events.length > 0 && length > MAX_TRANSACTION_LENGTH) break
    if (event !== undefined) events.push(event)
    reached = number
  }
  if (!service.registration.receiveEphemeral)
    return { body: { events }, last: reached, heard: { ...heard, receipts: committed } }
  const news = await ephemeralNews(deps, service, heard, committed)
  return {
    body: { events, ...(news.events.length === 0 ? {} : { ephemeral: news.events }) },
    last: reached,
    heard: news.heard,
  }
}

/** In the order of the rows; `undefined` for what is no longer there. */
async function eventsOf(
  deps: TransactionDeps,
  rows: readonly Queued[],
): Promise<readonly (readonly [number, JsonObject | undefined])[]> {
  const records = await deps.rooms.events(rows.flatMap(([, row]) => ('invited' in row ? [] : [row.id])))
  const shown = await fullEvents(
    deps,
    records.flatMap((record) => record ?? []),
  )
  const byId = new Map(shown.map((event) => [event['event_id'], event]))
  return Promise.all(
    rows.map(
      async ([number, row]) =>
        [number, 'invited' in row ? await inviteOf(deps, row) : byId.get(row.id)] as const,
    ),
  )
}

/** An invite that still waits for an answer, with what it shows of the room. */
async function inviteOf(
  { store, clock }: TransactionDeps,
  { id, invited, roomId, at }: Extract<Queued[1], { readonly invited: unknown }>,
): Promise<JsonObject | undefined> {
  const record = await memberships.get(store, [invited, roomId])
  if (record?.eventId !== id || record.membership !== 'invite') return undefined
  const { strippedState = [], sender } = record
  const own = strippedState.findLast(
    (event) => ownValue(event, 'type') === 'm.room.member' && ownValue(event, 'state_key') === invited,
  )
  const content = own === undefined ? undefined : ownValue(own, 'content')
  return {
    event_id: id,
    type: 'm.room.member',
    sender,
    state_key: invited,
    room_id: roomId,
    origin_server_ts: at,
    content: isJsonObject(content) ? content : { membership: 'invite' },
    unsigned: { age: clock.now() - at, invite_room_state: strippedState },
  }
}
