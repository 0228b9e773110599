/**
 * Tells push gateways about what notifies local users. Each pusher has its own place in the stream, kept in the store
 * after each call, so that a kill repeats a call and loses none; gateways know repeats by the event id.
 * spec: push-gateway-api.md, client-server-api/modules/push.md
 */
import { isJsonObject, ownValue } from '@plexus/core'
import type { UserId } from '@plexus/core'
import { backoffMs } from '../kernel/backoff.ts'
import type { Committer } from '../kernel/committer.ts'
import { createMutex } from '../kernel/mutex.ts'
import { createReadCache } from '../kernel/read-cache.ts'
import type { Clock, Log, PushGateway, Random, Store } from '../ports.ts'
import type { MembershipRecord } from '../rooms/types.ts'
import { strippedState } from '../sync/invites.ts'
import { notificationsIn, type NotificationParts } from '../sync/notifications.ts'
import { changesAnswers } from '../sync/polls.ts'
import type { SectionDeps } from '../sync/room-sections.ts'
import type { Unread } from '../sync/unread.ts'
import { pushed, pusherDeletes, pushers, type PusherRow } from '../users/tables.ts'
import type { PushEvaluator } from '../users/types.ts'
import { ignoredUsers, inviteFilter } from '../users/unwanted.ts'
import { notificationOf, pusherUrl, type Told } from './notification.ts'
import { createSteady } from '../kernel/steady.ts'

/** An event that is older is not pushed any more. */
export const MAX_PUSH_AGE_MS = 86_400_000
/** Waits between calls that fail: the first, and the longest. */
export const FIRST_RETRY_MS = 1_000
export const MAX_RETRY_MS = 3_600_000
/** Events of one look at a pusher; more are told at the next. */
export const MAX_PUSHES_AT_ONCE = 100
/** Looks for news at a time. */
const READS_AT_A_TIME = 8

export interface Push {
  /** Takes up what an earlier process left. */
  resume(): void
  /** Resolves when all that can be told now is told. */
  idle(): Promise<void>
  close(): void
}

type PushDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly gateway: PushGateway | undefined
  readonly sections: SectionDeps
}

/** What telling of news needs. */
type NewsDeps = {
  readonly clock: Clock
  readonly unread: Unread
  readonly parts: NotificationParts
  readonly invites: (userId: UserId) => Promise<(sender: UserId) => boolean>
}

type Key = readonly [userId: string, appId: string, pushKey: string]
type Pusher = { readonly key: Key; readonly row: PusherRow }
/** `again`: something happened meanwhile. */
type Task = { again: boolean; done: Promise<void> }
/** What is in memory of a pusher. */
type Progress = {
  upTo: number
  failures: number
  notBefore: number
  /** By which the count was made. */
  evaluate: PushEvaluator | undefined
  /** The count that the gateway was told last. */
  unread: number | undefined
}

export function createPush(deps: PushDeps): Push {
  const { store, committer, clock, log, gateway, sections } = deps
  const steady = createSteady(clock)
  const { accountData, pushRules } = sections.users
  const ignored = (userId: UserId): Promise<ReadonlySet<string>> => ignoredUsers(accountData, userId)
  const source: NewsDeps = {
    clock,
    unread: sections.unread,
    parts: { ...sections, ignored, pushRules },
    invites: (userId) => inviteFilter(accountData, userId),
  }
  const progress = new Map<string, Progress>()
  // Looked at after each commit.
  const known = createReadCache<ReadonlyMap<string, Pusher>>(1)
  const reading = Array.from({ length: READS_AT_A_TIME }, () => createMutex())
  let reads = 0
  /** Pushers at work, each by itself: a slow gateway keeps nobody but its own pusher waiting. */
  const tasks = new Map<string, Task>()
  let isDirty = false
  let isClosed = gateway === undefined
  let working: Promise<void> | undefined
  const timers = new Set<() => void>()

  const pushersNow = (): Promise<ReadonlyMap<string, Pusher>> =>
    known.get('', async () => {
      const rows = await pushers.list(store, [])
      return new Map(rows.map(([key, row]) => [nameOf(key), { key, row }]))
    })

  const wake = (): void => {
    isDirty = true
    working ??= work().finally(() => {
      working = undefined
    })
  }

  const guarded = async (attempt: () => Promise<void>): Promise<void> => {
    try {
      await attempt()
    } catch (error) {
      log.log('error', 'push gateways were not told', { error: String(error) })
    }
  }

  const work = async (): Promise<void> => {
    while (isDirty && !isClosed) {
      isDirty = false
      await guarded(async () => {
        const all = await pushersNow()
        for (const name of progress.keys()) if (!all.has(name)) progress.delete(name)
        for (const name of all.keys()) start(name)
      })
    }
  }

  const start = (name: string): void => {
    const held = tasks.get(name)
    if (held !== undefined) {
      held.again = true
      return
    }
    const task: Task = { again: true, done: Promise.resolve() }
    tasks.set(name, task)
    task.done = run(name, task)
  }

  const run = async (name: string, task: Task): Promise<void> => {
    while (task.again && !isClosed) {
      task.again = false
      await guarded(async () => {
        const pusher = (await pushersNow()).get(name)
        if (pusher !== undefined && (await follow(name, pusher))) task.again = true
      })
    }
    tasks.delete(name)
  }

  const read = <T>(work: () => Promise<T>): Promise<T> => {
    reads += 1
    const turn = reading[reads % READS_AT_A_TIME]
    return turn === undefined ? work() : turn.run(work)
  }

  /** Whether there is more at once. */
  const follow = async (name: string, { key, row }: Pusher): Promise<boolean> => {
    const here = progress.get(name) ?? {
      upTo: Math.max(row.upTo ?? committer.committed, (await pushed.get(store, key)) ?? 0),
      failures: 0,
      notBefore: 0,
      evaluate: undefined,
      unread: undefined,
    }
    progress.set(name, here)
    const url = pusherUrl(row)
    if (url === undefined || here.notBefore > steady()) return false
    const to = committer.committed
    const userId = key[0] as UserId
    const found = await read(async () => {
      const evaluate = await pushRules.evaluator(userId)
      if (evaluate === here.evaluate && !(await isTouched(source.parts, userId, here.upTo, to)))
        return undefined
      return {
        evaluate,
        news: await newsOf(source, userId, evaluate, here.upTo, to),
        unread: await unreadOf(source, userId, evaluate),
      }
    })
    if (found === undefined) {
      here.upTo = Math.max(here.upTo, to)
      return false
    }
    const { evaluate, news, unread } = found
    for (const told of news) {
      // Set anew or removed while the gateway took its time.
      if ((await pushersNow()).get(name)?.row !== row) return true
      if (isClosed || !(await call(key, row, here, url, unread, told))) return false
      here.upTo = told.position
      await committer.submit({ durability: 'relaxed', writes: () => [pushed.put(key, told.position)] })
    }
    // Somebody read, here or on another device: the number on the icon goes down.
    const isNews = news.length === 0 && here.unread !== undefined && here.unread !== unread
    if (isNews && !(await call(key, row, here, url, unread, undefined))) return false
    here.unread ??= unread
    if (news.length >= MAX_PUSHES_AT_ONCE) return true
    here.evaluate = evaluate
    here.upTo = Math.max(here.upTo, to)
    return false
  }

  /** Whether the gateway has it, or takes nothing for this key any more. */
  const call = async (
    key: Key,
    row: PusherRow,
    here: Progress,
    url: string,
    unread: number,
    told: Told | undefined,
  ): Promise<boolean> => {
    const body = await notificationOf(source.parts.rooms, key[0] as UserId, row, unread, told)
    try {
      const { status, rejected } = (await gateway?.notify(url, body)) ?? { status: 0, rejected: [] }
      if (status === 200) {
        here.failures = 0
        here.unread = unread
        if (!rejected.includes(key[2])) return true
        await committer.submit({ writes: () => pusherDeletes(key) })
        return false
      }
    } catch {
      // No answer: as an error.
    }
    here.failures += 1
    const wait = backoffMs(deps.random, here.failures, FIRST_RETRY_MS, MAX_RETRY_MS)
    here.notBefore = steady() + wait
    const cancel = clock.after(wait, () => {
      timers.delete(cancel)
      wake()
    })
    timers.add(cancel)
    return false
  }

  const stop = committer.onCommit((_, maps) => {
    if (maps.has(pushers.map)) known.clear()
    if (!isClosed && changesAnswers(maps)) wake()
  })

  return {
    resume() {
      if (!isClosed) wake()
    },
    async idle() {
      while (working !== undefined || tasks.size > 0)
        await Promise.all([working, ...[...tasks.values()].map(({ done }) => done)])
    },
    close() {
      isClosed = true
      stop()
      for (const cancel of timers) cancel()
      timers.clear()
    },
  }
}

const nameOf = (key: Key): string => JSON.stringify(key)

/** Whether anything happened to the user in (from, to]: most of what happens is about others. */
async function isTouched(
  { rooms, receipts }: NotificationParts,
  userId: UserId,
  from: number,
  to: number,
): Promise<boolean> {
  for (const { roomId, membership, position } of await rooms.memberships(userId)) {
    if (position > from) return true
    if (membership === 'join' && ((await rooms.snapshot(roomId))?.lastPosition ?? 0) > from) return true
  }
  return (await receipts.since(from, to)).some((receipt) => receipt.userId === userId)
}

/** What notifies the user in (from, to], oldest first. */
async function newsOf(
  deps: NewsDeps,
  userId: UserId,
  evaluate: PushEvaluator,
  from: number,
  to: number,
): Promise<readonly Told[]> {
  const { parts, clock } = deps
  const news: Told[] = []
  for (const row of await parts.rooms.memberships(userId)) {
    if (row.membership === 'invite' && row.position > from && row.position <= to)
      news.push(...(await inviteNews(deps, userId, row, evaluate)))
    if (row.membership !== 'join') continue
    const snapshot = await parts.rooms.snapshot(row.roomId)
    if (snapshot === undefined || snapshot.lastPosition <= from) continue
    const recipient = { userId, deviceId: '' }
    const { found } = await notificationsIn(parts, recipient, snapshot, evaluate, to + 1, from)
    for (const { record, outcome, read } of found) {
      if (read || record.receivedAt < clock.now() - MAX_PUSH_AGE_MS) continue
      const { type, sender, content, state_key: target } = record.pdu
      news.push({
        eventId: record.id,
        type,
        sender,
        content,
        stateKey: target,
        roomId: row.roomId,
        position: record.position,
        actions: outcome.actions,
        state: snapshot.state,
      })
    }
  }
  return news.sort((a, b) => a.position - b.position).slice(0, MAX_PUSHES_AT_ONCE)
}

async function inviteNews(
  { parts, invites }: NewsDeps,
  userId: UserId,
  row: MembershipRecord,
  evaluate: PushEvaluator,
): Promise<readonly Told[]> {
  if (!(await invites(userId))(row.sender)) return []
  const stripped = await strippedState(parts.rooms, userId, row)
  const invite = stripped.find(
    (event) => ownValue(event, 'type') === 'm.room.member' && ownValue(event, 'state_key') === userId,
  )
  if (invite === undefined) return []
  const event = { ...invite, event_id: row.eventId, room_id: row.roomId }
  // Of the room nothing is known but what was told with the invite.
  const outcome = evaluate(event, { memberCount: 0, senderPowerLevel: 0, notificationLevels: {} })
  if (!outcome.notify) return []
  const content = ownValue(invite, 'content')
  return [
    {
      eventId: row.eventId,
      type: 'm.room.member',
      sender: row.sender,
      content: isJsonObject(content) ? content : {},
      stateKey: userId,
      roomId: row.roomId,
      position: row.position,
      actions: outcome.actions,
    },
  ]
}

/** Unread messages in all rooms of the user. */
async function unreadOf(
  { parts, unread }: NewsDeps,
  userId: UserId,
  evaluate: PushEvaluator,
): Promise<number> {
  let sum = 0
  for (const { roomId, membership } of await parts.rooms.memberships(userId)) {
    const snapshot = membership === 'join' ? await parts.rooms.snapshot(roomId) : undefined
    if (snapshot === undefined) continue
    const counts = await unread.counts(snapshot, userId, evaluate)
    for (const { notifications } of counts.values()) sum += notifications
  }
  return sum
}
