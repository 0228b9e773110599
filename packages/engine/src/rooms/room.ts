/**
 * One room: its decision queue, its working copy and its published snapshot.
 *
 * Invariants:
 * 1. Decisions are made one after the other, each on the copy that the one before left; nothing else changes a copy.
 * 2. The snapshot follows commits, in commit order; readers see only it.
 * 3. What is decided in a turn and not submitted in it is undone when the turn ends.
 * 4. After a failed commit the room is void: its copy was decided on what is not there. Nothing of it is submitted any
 *    more, and it is loaded anew.
 */
import type { EventId, Pdu, RoomId, RoomVersion, ServerName, UserId } from '@plexus/core'
import type { Change, Committer, StreamPosition } from '../kernel/committer.ts'
import type { Mutex } from '../kernel/mutex.ts'
import { createMutex } from '../kernel/mutex.ts'
import type { Clock, Log, Store, Write } from '../ports.ts'
import type { RoomCopy } from './copy.ts'
import { toSnapshot } from './copy.ts'
import { checkEvent, decideEvent, type Decided } from './decide-event.ts'
import type { EventStore } from './event-store.ts'
import type { StateGroup, StateGroups } from './state-groups.ts'
import type { EventRecord, RoomSnapshot } from './types.ts'
import type { MailedInvites } from './mailed-invites.ts'
import type { WaitingRedactions } from './waiting-redactions.ts'
import { RoomError } from './types.ts'
import type { CheckedEvent } from './verify.ts'

export type RoomDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly events: EventStore
  readonly groups: StateGroups
  readonly waitingRedactions: WaitingRedactions
  readonly mailedInvites: MailedInvites
  readonly clock: Clock
  readonly ownName: ServerName
  readonly log: Log
  /** The writes that keep the cursors of destinations in step with who is in the room. */
  readonly destinations: DestinationTracker
  /** The writes that keep what goes to application services. */
  readonly services: ServiceQueue
  /** Told after the commit by which users came to be joined to a room. */
  readonly onJoined: (snapshot: RoomSnapshot, users: readonly UserId[]) => void
}

/** An event that a room accepts. */
export type AcceptedEvent = {
  readonly id: EventId
  /** Of its sender. */
  readonly server: ServerName
  readonly pdu: Pdu
  /** The server whose transaction brought it. */
  readonly from?: ServerName
}

/** Implemented by the outbox: which servers get the own events of a room. */
export interface DestinationTracker {
  /** Called while a commit is assembled, for each event that a room accepts. */
  changed(
    roomId: RoomId,
    position: number,
    change: {
      readonly joined: readonly ServerName[]
      readonly left: readonly ServerName[]
      /** Those of `left` that were in the room by the word of a server alone: nothing more goes to them. */
      readonly unproven?: ReadonlySet<ServerName>
      readonly event?: AcceptedEvent
      /** That event, where this node brings it to the other members' servers. */
      readonly distributed?: EventId
      /** A server that gets the accepted event too, and nothing else. */
      readonly outsider?: ServerName
      /** Servers of users who are invited by mail: they get the accepted event as members do. */
      readonly invited?: readonly ServerName[]
      /** Those of `joined` that were there before, unknown to this node, and the position after which they lack own events. */
      readonly found?: { readonly servers: ReadonlySet<ServerName>; readonly since: number }
      /** The one of `joined` that lacks the newest own events after `since`, since its join does not follow them. */
      readonly late?: { readonly server: ServerName; readonly since: number }
    },
  ): readonly Write[]
  /**
   * This node joined by its own event `join`, which `resident`, if there is one, has already and the others get from us too:
   * the resident server may vanish before it passes it on.
   */
  joinedRoom(
    roomId: RoomId,
    position: number,
    servers: {
      readonly resident: ServerName | undefined
      readonly others: readonly ServerName[]
      readonly join: EventId
    },
  ): readonly Write[]
}

/** Implemented by the application services. Called while a commit is assembled. */
export interface ServiceQueue {
  /** An event that finds its place in a room's present; who is joined before and after it. */
  accepted(
    event: Pick<EventRecord, 'id' | 'roomId' | 'pdu'>,
    before: ReadonlySet<UserId>,
    after: ReadonlySet<UserId>,
  ): readonly Write[]
  /** An invite to a room that this node is not in; `at` is in milliseconds since the epoch. */
  invited(id: EventId, roomId: RoomId, invited: UserId, at: number): readonly Write[]
}

/** What other members told about an event. */
export type Claim = {
  /** The state before the event, and the writes that keep it where it is not kept yet. */
  readonly state: StateGroup
  readonly stateWrites?: readonly Write[]
  /** Of the events that this node does not hold, those that were found to be history. */
  readonly history: ReadonlySet<EventId>
}

export type EventInput = CheckedEvent & {
  /** The server whose transaction brought it. */
  readonly from?: ServerName
  readonly sentBy?: EventRecord['sentBy']
  /** An event that this node built, or accepted for distribution: it goes to the other members' servers. */
  readonly distribute?: boolean
  /** An event that this node built: unless it is accepted outright, nothing of it is kept. */
  readonly own?: boolean
  /** The caller has looked: it is not in the store. */
  readonly isNew?: boolean
  /** Of the same commit, such as the delete of the event's place in staging. */
  readonly writes?: readonly Write[]
  /** Stands for previous events that this node does not hold. */
  readonly claim?: Claim
  /** What was decided while the room's state lacked members, or was not confirmed. */
  readonly again?: EventRecord
}

export type Outcome =
  | {
      readonly kind: 'accept' | 'softFail' | 'reject'
      readonly why?: string
      readonly change: Change | undefined
    }
  | { readonly kind: 'drop'; readonly why: string; readonly change: undefined }
  /** It was decided before. */
  | { readonly kind: 'known'; readonly change: undefined }
  /** These events must be fetched first. */
  | { readonly kind: 'missing'; readonly events: readonly EventId[]; readonly change: undefined }

export interface Room {
  readonly roomId: RoomId
  readonly version: RoomVersion
  readonly snapshot: RoomSnapshot | undefined
  /** Of the working copy; 0 while there is none. */
  readonly since: number
  /** A commit failed since the room was loaded: see invariant 4. */
  readonly void: boolean
  /** Runs alone among the decisions of the room. @throws RoomError when the room is void. */
  run<T>(work: (turn: Turn) => Promise<T>): Promise<T>
}

/** What a holder of the queue may do. */
export interface Turn {
  readonly copy: RoomCopy | undefined
  /** @throws a fault, after which nothing of the event is held and the turn can go on. */
  decide(event: EventInput): Promise<Outcome>
  /** Decides on another copy than the room's, which stays as it is. */
  decideOn(copy: RoomCopy, event: EventInput): Promise<Decided>
  /** The rule by which an event would be refused, `undefined` if it would be accepted. Changes nothing. */
  check(event: EventInput): Promise<string | undefined>
  /** Puts a copy in place of the working one; the answer publishes it, to be called after its commit. */
  replace(copy: RoomCopy): (position: number) => void
  /** Commits a change that holds all that was decided since the last one. Not to be awaited within the turn. @throws when void. */
  submit(change: Change): Promise<StreamPosition>
}

export type RoomInit = {
  readonly roomId: RoomId
  readonly version: RoomVersion
  /** `failures` of the committer before the room was read. */
  readonly failures: number
  readonly copy?: RoomCopy
  readonly lastPosition?: number
}

export function createRoom(deps: RoomDeps, init: RoomInit): Room {
  const { roomId, version } = init
  const { committer } = deps
  const queue: Mutex = createMutex()
  let copy = init.copy
  /** The copy as the last submitted change leaves it, and the events that were decided since. */
  let submitted = copy
  let unsubmitted: EventRecord[] = []
  let snapshot = copy === undefined ? undefined : toSnapshot(copy, init.lastPosition ?? 0)
  const isVoid = (): boolean => committer.failures !== init.failures
  const voidError = (): RoomError =>
    new RoomError('M_UNKNOWN', 'the last change could not be stored, try again')

  const hold = (record: EventRecord): void => {
    // What a void room decides must not be taken for decided.
    if (isVoid()) return
    unsubmitted.push(record)
    deps.events.stage(record)
  }

  let publishedJoined = copy?.joined ?? new Set<UserId>()
  const publisherOf = (published: RoomCopy) => (position: number) => {
    snapshot = toSnapshot(published, position)
    const before = publishedJoined
    publishedJoined = published.joined
    if (before === published.joined) return
    const joined = [...published.joined].filter((user) => !before.has(user))
    if (joined.length > 0) deps.onJoined(snapshot, joined)
  }

  const undo = (): void => {
    copy = submitted
    for (const record of unsubmitted) deps.events.unstage(record)
    unsubmitted = []
  }

  const decideOn = async (on: RoomCopy | undefined, event: EventInput): Promise<Decided> => {
    const before = unsubmitted.length
    try {
      return await decideEvent({ deps, version, roomId, copy: on, event, publisherOf, hold })
    } catch (error) {
      for (const record of unsubmitted.splice(before)) deps.events.unstage(record)
      throw error
    }
  }

  const turn: Turn = {
    get copy() {
      return copy
    },
    async decide(event) {
      const { outcome, next } = await decideOn(copy, event)
      if (next !== undefined) copy = next
      return outcome
    },
    decideOn,
    check: (event) => checkEvent({ deps, version, roomId, copy, event, publisherOf, hold }),
    replace(next) {
      copy = next
      return publisherOf(next)
    },
    submit(change) {
      if (isVoid()) throw voidError()
      submitted = copy
      unsubmitted = []
      return committer.submit(change)
    },
  }

  return {
    roomId,
    version,
    get snapshot() {
      return snapshot
    },
    get since() {
      return copy?.since ?? 0
    },
    get void() {
      return isVoid()
    },
    run: (work) =>
      queue.run(async () => {
        if (isVoid()) throw voidError()
        try {
          return await work(turn)
        } catch (error) {
          // What was decided on may have vanished: whatever went wrong follows from that.
          throw isVoid() ? voidError() : error
        } finally {
          undo()
        }
      }),
  }
}
