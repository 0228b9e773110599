/** Events that this node builds: built from its own state, signed, decided like any other, committed. */
import type {
  EventId,
  EventReference,
  EventTemplate,
  KeyId,
  Pdu,
  RoomId,
  RoomVersion,
  ServerName,
  StateKey,
  UserId,
} from '@plexus/core'
import {
  authStateKeys,
  buildEvent,
  canonicalJson,
  checkFormat,
  oversizedField,
  checkLevelsContent,
  DEFAULT_ROOM_VERSION,
  encodeBase64,
  encodeBase64Url,
  MAX_PREV_EVENTS,
  POWER_LEVELS_KEY,
  requiredActionLevel,
  referenceTo,
  roomIdOf,
  roomVersion,
  serverOf,
  signingBytes,
  stateKey,
  userPowerLevel,
  withSignature,
} from '@plexus/core'
import type { Change } from '../kernel/committer.ts'
import { combineChanges } from '../kernel/committer.ts'
import type { Clock, Federation, Random, Signer } from '../ports.ts'
import type { RoomCopy } from './copy.ts'
import { mayHavePolicy, policyServerOf, recommend } from './policy.ts'
import { clientTransactions } from './records.ts'
import { isRedactable } from './redaction.ts'
import type { RoomRegistry } from './registry.ts'
import type { EventInput, Room, RoomDeps, Turn } from './room.ts'
import type { CreateRoom, EventRecord, NewEvent } from './types.ts'
import { RoomError } from './types.ts'

/** An own timestamp follows those of the previous events by at most this. DESIGN section 5 "Time" */
export const MAX_TIMESTAMP_LEAD_MS = 300_000
/** Events that `POST /createRoom` may ask for. */
export const MAX_INITIAL_EVENTS = 200
/** Random bytes of an id that is no hash. */
const ID_BYTES = 18

export type LocalDeps = RoomDeps & {
  readonly signer: Signer
  readonly random: Random
  readonly registry: RoomRegistry
  readonly federation: Federation
}

/** Hash, signature and id: what makes a template an event. Only templates that this node built come here. */
export async function signOwn(
  deps: { readonly signer: Signer },
  version: RoomVersion,
  unsigned: Pdu,
): Promise<EventInput> {
  const signature = await deps.signer.sign(signingBytes(version, unsigned))
  const pdu = withSignature(unsigned, deps.signer.name, deps.signer.keyId as KeyId, encodeBase64(signature))
  const format = checkFormat(version, pdu)
  if (format.kind === 'drop') {
    throw new RoomError(format.why.code === 'too large' ? 'M_TOO_LARGE' : 'M_BAD_JSON', format.why.reason)
  }
  const field = oversizedField(pdu)
  if (field !== undefined) throw new RoomError('M_BAD_JSON', `${field} is too long`)
  return { id: format.eventId, pdu: format.pdu, contentHashOk: true, own: true, distribute: true }
}

/** An event of the room's present: on its forward extremities, authorised by its current state. */
export async function buildOwn(
  deps: LocalParts & { readonly signer: Signer; readonly random: Random },
  copy: RoomCopy,
  template: EventTemplate,
  originServerTs?: number,
): Promise<EventInput> {
  const next = await buildNext(deps, copy, template, newEventId(deps, copy.version), originServerTs)
  return signOwn(deps, copy.version, next)
}

/** An id for an event of a room version in which events carry theirs. spec: rooms/v1.md "Event IDs" */
export function newEventId(
  { random, ownName }: { readonly random: Random; readonly ownName: ServerName },
  version: RoomVersion,
): EventId | undefined {
  return version.eventIds === 'field' ? (newId('$', random, ownName) as EventId) : undefined
}

function newId(sigil: string, random: Random, server: ServerName): string {
  return `${sigil}${encodeBase64Url(random.bytes(ID_BYTES))}:${server}`
}

type LocalParts = {
  readonly clock: Clock
  readonly events: RoomDeps['events']
  readonly ownName: ServerName
}

/** The event without signature: also what a server that joins is told to build. */
export async function buildNext(
  deps: LocalParts,
  copy: RoomCopy,
  template: EventTemplate,
  eventId: EventId | undefined,
  originServerTs?: number,
): Promise<Pdu> {
  const { version } = copy
  const parents = await chooseParents(deps, copy)
  return buildEvent(version, {
    template,
    roomId: copy.roomId,
    ...(eventId === undefined ? {} : { eventId }),
    prevEvents: parents.map((parent) => ({
      reference: referenceTo(version, parent),
      depth: parent.pdu.depth,
    })),
    authEvents: await referencesTo(deps, version, selectAuthEvents(copy, template)),
    now:
      originServerTs ??
      ownTimestamp(
        deps.clock.now(),
        parents.map(({ pdu }) => pdu.origin_server_ts),
      ),
  })
}

/**
 * The forward extremities, or with too many of them some of every server, ours first; the others are joined by the
 * events that follow. Their own depths and times do not decide, since those are what their servers say.
 */
async function chooseParents(deps: LocalParts, copy: RoomCopy): Promise<readonly EventRecord[]> {
  const records = await deps.events.working(copy.heads)
  const heads = records.filter((record) => record !== undefined)
  if (heads.length < records.length) throw new Error('a forward extremity is missing')
  if (heads.length <= MAX_PREV_EVENTS) return heads
  const ofServer = new Map<ServerName, number>()
  // The newest of each server first.
  const ranked = heads.toReversed().map((record) => {
    const server = serverOf(record.pdu.sender)
    const before = ofServer.get(server) ?? 0
    ofServer.set(server, before + 1)
    return { record, rank: server === deps.ownName ? -1 : before }
  })
  return ranked
    .sort((a, b) => a.rank - b.rank)
    .slice(0, MAX_PREV_EVENTS)
    .map(({ record }) => record)
}

/** spec: server-server-api.md "Auth events selection" */
function selectAuthEvents(copy: RoomCopy, template: EventTemplate): readonly EventId[] {
  const { stateKey, ...rest } = template
  const keys: readonly StateKey[] = authStateKeys(copy.version, {
    ...rest,
    ...(stateKey === undefined ? {} : { state_key: stateKey }),
  })
  return keys.flatMap((key) => copy.current.state.get(key) ?? [])
}

async function referencesTo(
  deps: LocalParts,
  version: RoomVersion,
  ids: readonly EventId[],
): Promise<readonly EventReference[]> {
  if (version.eventIds !== 'field') return ids
  const records = await deps.events.working(ids)
  return records.map((record) => {
    if (record === undefined) throw new Error('an event of the current state is missing')
    return referenceTo(version, record)
  })
}

function ownTimestamp(now: number, parents: readonly number[]): number {
  const latest = Math.max(now, ...parents)
  return latest <= now + MAX_TIMESTAMP_LEAD_MS ? latest : now
}

/** Decides an own event; @throws RoomError with the rule that forbids it. */
export async function decideOwn(turn: Turn, event: EventInput): Promise<Change> {
  const outcome = await turn.decide(event)
  if (outcome.kind === 'accept' && outcome.change !== undefined) return outcome.change
  if (outcome.kind === 'missing') throw new RoomError('M_BAD_STATE', 'the room is not complete yet')
  const why = 'why' in outcome ? outcome.why : undefined
  throw new RoomError('M_FORBIDDEN', why ?? 'not allowed')
}

/**
 * An own event of the room's present that its policy server recommends; `undefined` where the room has none, so that the
 * event is best built when it is decided. @throws as `recommend`, and RoomError M_FORBIDDEN for what the rules forbid.
 */
export async function recommendedOwn(
  deps: LocalDeps,
  room: Room,
  template: EventTemplate,
  originServerTs?: number,
): Promise<EventInput | undefined> {
  if (!mayHavePolicy(room)) return undefined
  const event = await room.run(async (turn) => {
    const { copy } = turn
    if (copy === undefined || (await policyServerOf(deps.events, copy)) === undefined) return undefined
    const built = await buildOwn(deps, copy, template, originServerTs)
    const why = await turn.check(built)
    if (why !== undefined) throw new RoomError('M_FORBIDDEN', why)
    return built
  })
  return event === undefined ? undefined : recommend(deps, room, event)
}

export interface LocalEvents {
  send(roomId: RoomId, event: NewEvent): Promise<EventId>
  create(room: CreateRoom): Promise<RoomId>
}

export function createLocalEvents(deps: LocalDeps): LocalEvents {
  /** Sends of one client transaction that are under way. */
  const underWay = new Map<string, Promise<EventId>>()

  const sendOnce = async (room: Room, event: NewEvent): Promise<EventId> => {
    const recommended = await recommendedOwn(deps, room, templateOf(event), event.originServerTs)
    const committed = await room.run(async (turn) => {
      const { copy } = turn
      if (copy === undefined) throw new RoomError('M_NOT_FOUND', 'this node is not in the room')
      const { sender, transaction, redacts } = event
      if (redacts !== undefined) await checkRedaction(deps, copy, sender, redacts)
      checkLevels(copy, event)
      const same = await sameState(deps, copy, event)
      if (same !== undefined) return { id: same, done: undefined }
      const input = recommended ?? (await buildOwn(deps, copy, templateOf(event), event.originServerTs))
      const change = await decideOwn(turn, {
        ...input,
        ...(transaction === undefined
          ? {}
          : { sentBy: { userId: sender, deviceId: transaction.deviceId, transactionId: transaction.id } }),
      })
      // Submitted within the turn, so that commits follow the order of decisions; awaited outside of it.
      return { id: input.id, done: turn.submit(change) }
    })
    await committed.done
    return committed.id
  }

  const send = async (roomId: RoomId, event: NewEvent): Promise<EventId> => {
    const room = await deps.registry.get(roomId)
    if (room === undefined) throw new RoomError('M_NOT_FOUND', 'this node is not in the room')
    const { sender, transaction } = event
    if (transaction === undefined) return sendOnce(room, event)
    const key = [sender, transaction.deviceId, roomId, transaction.id] as const
    const name = JSON.stringify(key)
    const running = underWay.get(name)
    if (running !== undefined) return running
    const result = clientTransactions.get(deps.store, key).then((known) => known ?? sendOnce(room, event))
    underWay.set(name, result)
    try {
      return await result
    } finally {
      underWay.delete(name)
    }
  }

  // A room's id is the hash of its create event: two of one user in one millisecond would be one room.
  let lastCreated = 0
  const create = (room: CreateRoom): Promise<RoomId> => {
    lastCreated = Math.max(deps.clock.now(), lastCreated + 1)
    return createRoomLocally(deps, room, lastCreated)
  }

  return { send, create }
}

/**
 * Others let a server redact all that its users sent, so that it is this server which keeps one user from redacting
 * another, and all from redacting what the room stands on. @throws RoomError M_FORBIDDEN. spec: client-server-api PUT /redact
 */
async function checkRedaction(
  { events }: LocalParts,
  { version, create, current }: RoomCopy,
  sender: UserId,
  target: EventId,
): Promise<void> {
  const [record] = await events.working([target])
  if (record !== undefined && !isRedactable(record.pdu))
    throw new RoomError('M_FORBIDDEN', 'the create event of a room cannot be redacted')
  if (record === undefined || record.pdu.sender === sender) return
  const id = current.state.get(POWER_LEVELS_KEY)
  const [levels] = id === undefined ? [] : await events.working([id])
  const auth = {
    create: create.pdu,
    get: (key: string) => (key === POWER_LEVELS_KEY ? levels?.pdu : undefined),
  }
  if (userPowerLevel(version, auth, sender) < requiredActionLevel(version, auth, 'redact'))
    throw new RoomError('M_FORBIDDEN', 'you may redact your own events only')
}

/** @throws RoomError M_BAD_JSON: power would not help. */
function checkLevels({ version, create }: RoomCopy, { type, stateKey: key, content }: NewEvent): void {
  if (type !== 'm.room.power_levels' || key !== '') return
  const fault = checkLevelsContent(version, content, create.pdu)
  if (fault !== undefined) throw new RoomError('M_BAD_JSON', `${fault.rule}: ${fault.reason}`)
}

/** The event that set the state to just this already; memberships are decided each time. */
async function sameState(
  { events }: LocalParts,
  { current }: RoomCopy,
  { type, stateKey: key, sender, content }: NewEvent,
): Promise<EventId | undefined> {
  if (key === undefined || type === 'm.room.member') return undefined
  const id = current.state.get(stateKey(type, key))
  const [record] = id === undefined ? [] : await events.working([id])
  if (record?.pdu.sender !== sender) return undefined
  return canonicalJson(record.pdu.content) === canonicalJson(content) ? id : undefined
}

function templateOf(event: NewEvent): EventTemplate {
  return {
    type: event.type,
    sender: event.sender,
    content: event.content,
    ...(event.stateKey === undefined ? {} : { stateKey: event.stateKey }),
    ...(event.redacts === undefined ? {} : { redacts: event.redacts }),
  }
}

/** The create event and all that makes the room usable are one commit: a crash leaves no half-made room. */
async function createRoomLocally(deps: LocalDeps, init: CreateRoom, now: number): Promise<RoomId> {
  const version = roomVersion(init.version ?? DEFAULT_ROOM_VERSION)
  if (version === undefined) throw new RoomError('M_UNSUPPORTED_ROOM_VERSION', `room version ${init.version}`)
  if (init.initialState.length > MAX_INITIAL_EVENTS)
    throw new RoomError('M_TOO_LARGE', 'too many initial events')
  const eventId = newEventId(deps, version)
  const first = await signOwn(
    deps,
    version,
    buildEvent(version, {
      template: {
        type: 'm.room.create',
        sender: init.creator,
        stateKey: '',
        content: {
          ...init.creationContent,
          ...(version.creator === 'content' ? { creator: init.creator } : {}),
          room_version: version.id,
        },
      },
      ...(version.roomIdIsCreateHash ? {} : { roomId: newId('!', deps.random, deps.ownName) as RoomId }),
      ...(eventId === undefined ? {} : { eventId }),
      prevEvents: [],
      authEvents: [],
      now,
    }),
  )
  const roomId = roomIdOf(version, first.pdu)
  const room = await deps.registry.ensure(roomId, version)
  const done = await room
    .run(async (turn) => {
      const changes = [await decideOwn(turn, first)]
      for (const { type, stateKey, content } of init.initialState) {
        if (turn.copy === undefined) throw new Error('a create event made no room')
        const event = await buildOwn(deps, turn.copy, { type, sender: init.creator, stateKey, content })
        changes.push(await decideOwn(turn, event))
      }
      return { committed: turn.submit(combineChanges(changes)) }
    })
    .catch((error: unknown) => {
      // Nobody knows the id of an unfinished room yet.
      deps.registry.discard(room)
      throw error
    })
  await done.committed
  return roomId
}
