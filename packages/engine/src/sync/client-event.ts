/** Events as clients get them. spec: data/api/client-server/definitions/client_event.yaml */
import { ownValue } from '@plexus/core'
import type { EventId, JsonObject, Pdu, UserId } from '@plexus/core'
import type { Clock } from '../ports.ts'
import type { EventRecord, Membership, Rooms } from '../rooms/types.ts'
import type { Seen, Viewer, Visibility } from './visibility.ts'

/** Who gets the events: `deviceId` decides who sees the transaction ids. */
export type Recipient = { readonly userId: UserId; readonly deviceId: string }

export type ClientEvents = {
  /** Events of a timeline, with what stood in their place before, and the recipient's membership. */
  timeline(
    recipient: Recipient,
    viewer: Viewer,
    seen: readonly Seen[],
    format: EventFormat,
  ): Promise<readonly JsonObject[]>
  /** Events that hold a state, without `prev_content`. */
  state(
    recipient: Recipient,
    records: readonly EventRecord[],
    format: EventFormat,
  ): Promise<readonly JsonObject[]>
}

/** `/sync` leaves the room id out, since it stands above the event. */
export type EventFormat = { readonly roomId: boolean }

type Extras = {
  readonly redactedBecause?: EventRecord | undefined
  readonly replaced?: EventRecord | undefined
  readonly replacedVisible?: boolean
  readonly membership?: Membership
}

export function createClientEvents(deps: {
  rooms: Rooms
  clock: Clock
  visibility: Visibility
}): ClientEvents {
  const { rooms, clock, visibility } = deps

  return {
    async timeline(recipient, viewer, seen, format) {
      const others = await load(
        rooms,
        seen.flatMap(({ record }) => [record.redactedBy, record.replaced]),
      )
      const replaced = seen.flatMap(({ record }) => others.get(record.replaced ?? record.id) ?? [])
      // An invite from another server has no place in the timeline, but whose it is was shown it.
      const isOwn = ({ pdu }: EventRecord): boolean =>
        pdu.type === 'm.room.member' && pdu.state_key === viewer.userId
      const visible = new Map(
        (await visibility.judge(viewer, replaced)).map(
          ({ record, visible }) => [record.id, visible || isOwn(record)] as const,
        ),
      )
      return seen.map(({ record, membership }) =>
        clientEvent(recipient, record, clock.now(), format, {
          redactedBecause: record.redactedBy === undefined ? undefined : others.get(record.redactedBy),
          replaced: record.replaced === undefined ? undefined : others.get(record.replaced),
          replacedVisible: record.replaced !== undefined && visible.get(record.replaced) === true,
          ...(membership === undefined ? {} : { membership }),
        }),
      )
    },
    async state(recipient, records, format) {
      const others = await load(
        rooms,
        records.map(({ redactedBy }) => redactedBy),
      )
      return records.map((record) =>
        clientEvent(recipient, record, clock.now(), format, {
          redactedBecause: record.redactedBy === undefined ? undefined : others.get(record.redactedBy),
        }),
      )
    },
  }
}

/**
 * Events for who sees all of a room, as an application service does: with what stood in their place before, and nobody's
 * transaction ids.
 */
export async function fullEvents(
  { rooms, clock }: { readonly rooms: Rooms; readonly clock: Clock },
  records: readonly EventRecord[],
): Promise<readonly JsonObject[]> {
  const others = await load(
    rooms,
    records.flatMap(({ redactedBy, replaced }) => [redactedBy, replaced]),
  )
  return records.map((record) =>
    clientEvent(
      undefined,
      record,
      clock.now(),
      { roomId: true },
      {
        redactedBecause: record.redactedBy === undefined ? undefined : others.get(record.redactedBy),
        replaced: record.replaced === undefined ? undefined : others.get(record.replaced),
        replacedVisible: true,
      },
    ),
  )
}

async function load(
  rooms: Rooms,
  ids: readonly (EventId | undefined)[],
): Promise<ReadonlyMap<EventId, EventRecord>> {
  const wanted = ids.filter((id) => id !== undefined)
  if (wanted.length === 0) return new Map()
  const records = await rooms.events(wanted)
  return new Map(records.flatMap((record) => (record === undefined ? [] : [[record.id, record] as const])))
}

function clientEvent(
  recipient: Recipient | undefined,
  record: EventRecord,
  now: number,
  format: EventFormat,
  extras: Extras,
): JsonObject {
  const { pdu } = record
  return {
    event_id: record.id,
    type: pdu.type,
    sender: pdu.sender,
    origin_server_ts: pdu.origin_server_ts,
    content: pdu.content,
    ...(pdu.state_key === undefined ? {} : { state_key: pdu.state_key }),
    ...(format.roomId ? { room_id: record.roomId } : {}),
    ...redactsOf(pdu),
    unsigned: unsignedOf(recipient, record, now, format, extras),
  }
}

function unsignedOf(
  recipient: Recipient | undefined,
  record: EventRecord,
  now: number,
  format: EventFormat,
  { redactedBecause, replaced, replacedVisible, membership }: Extras,
): JsonObject {
  const { sentBy, pdu } = record
  const own =
    sentBy !== undefined && sentBy.userId === recipient?.userId && sentBy.deviceId === recipient.deviceId
  return {
    age: now - pdu.origin_server_ts,
    ...(own ? { transaction_id: sentBy.transactionId } : {}),
    ...(redactedBecause === undefined
      ? {}
      : {
          redacted_because: clientEvent(recipient, redactedBecause, now, format, {}),
          // Not specified, but what Synapse has beside it is looked for.
          redacted_by: redactedBecause.id,
        }),
    ...(replaced === undefined ? {} : { replaces_state: replaced.id }),
    ...(replaced === undefined || replacedVisible !== true
      ? {}
      : { prev_content: replaced.pdu.content, prev_sender: replaced.pdu.sender }),
    ...(membership === undefined ? {} : { membership }),
  }
}

/** Clients of before room version 11 look for `redacts` beside the content. spec: m.room.redaction */
function redactsOf(pdu: Pdu): JsonObject {
  if (pdu.type !== 'm.room.redaction') return {}
  const redacts = ownValue(pdu.content, 'redacts') ?? ownValue(pdu, 'redacts')
  return typeof redacts === 'string' ? { redacts } : {}
}

/** Only these four keys may stand in stripped state. spec: client-server-api/_index.md "Stripped state" */
export function strip(event: JsonObject): JsonObject {
  return {
    type: ownValue(event, 'type') ?? '',
    sender: ownValue(event, 'sender') ?? '',
    state_key: ownValue(event, 'state_key') ?? '',
    content: ownValue(event, 'content') ?? {},
  }
}
