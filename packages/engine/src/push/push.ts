/**
 * Tells push gateways about what notifies local users. Each pusher has its own place in the stream, kept in the store
 * after each call, so that a kill repeats a call and loses none; gateways know repeats by the event id.
 * spec: push-gateway-api.md, client-server-api/modules/push.md
 */
import { isJsonObject, ownValue } from '@plexus/core'
import type { UserId } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import type { Clock, Log, PushGateway, Random, Store } from '../ports.ts'
import type { MembershipRecord } from '../rooms/types.ts'
import { strippedState } from '../sync/invites.ts'
import { notificationsIn, type NotificationParts } from '../sync/notifications.ts'
import type { SectionDeps } from '../sync/room-sections.ts'
import type { Unread } from '../sync/unread.ts'
import { pushers, type PusherRow } from '../users/tables.ts'
import type { PushEvaluator } from '../users/types.ts'
import { ignoredUsers, inviteFilter } from '../users/unwanted.ts'
import { notificationOf, pusherUrl, type Told } from './notification.ts'

/** An event that is older is not pushed any more. */
export const MAX_PUSH_AGE_MS = 86_400_000
/** Waits between calls that fail: the first, and the longest. */
export const FIRST_RETRY_MS = 1_000
export const MAX_RETRY_MS = 3_600_000
/** Events of one look at a pusher; more are told at the next. */
export const MAX_PUSHES_AT_ONCE = 100
/** Users whose pushers are worked on at a time. */
const USERS_AT_A_TIME = 8

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
/** What is in memory of a pusher. */
type Progress = {
  upTo: number
  failures: number
  notBefore: number
  /** The count that the gateway was told last. */
  unread: number | undefined
}

export function createPush(deps: PushDeps): Push {
  const { store, committer, clock, log, gateway, sections } = deps
  const { accountData, pushRules } = sections.users
  const ignored = (userId: UserId): Promise<ReadonlySet<string>> => ignoredUsers(accountData, userId)
  const source: NewsDeps = {
    clock,
    unread: sections.unread,
    parts: { ...sections, ignored, pushRules },
    invites: (userId) => inviteFilter(accountData, userId),
  }
  const progress = new Map<string, Progress>()
  let isDirty = false
  let isClosed = gateway === undefined
  let working: Promise<void> | undefined
  const timers = new Set<() => void>()

  const wake = (): void => {
    isDirty = true
    working ??= work().finally(() => {
      working = undefined
    })
  }

  const work = async (): Promise<void> => {
    while (isDirty && !isClosed) {
      isDirty = false
      try {
        await sweep()
      } catch (error) {
        log.log('error', 'push gateways were not told', { error: String(error) })
      }
    }
  }

  const sweep = async (): Promise<void> => {
    const rows = await pushers.list(store, [])
    const known = new Set(rows.map(([key]) => nameOf(key)))
    for (const name of progress.keys()) if (!known.has(name)) progress.delete(name)
    const users = [...Map.groupBy(rows, ([[userId]]) => userId).values()]
    for (let start = 0; start < users.length; start += USERS_AT_A_TIME) {
      const part = users.slice(start, start + USERS_AT_A_TIME)
      await Promise.all(part.map(async (own) => Promise.all(own.map(([key, row]) => follow(key, row)))))
    }
  }

  const follow = async (key: Key, row: PusherRow): Promise<void> => {
    const name = nameOf(key)
    const here = progress.get(name) ?? {
      upTo: row.upTo ?? committer.committed,
      failures: 0,
      notBefore: 0,
      unread: undefined,
    }
    progress.set(name, here)
    const url = pusherUrl(row)
    if (url === undefined || here.notBefore > clock.now()) return
    const to = committer.committed
    const userId = key[0] as UserId
    const news = await newsOf(source, userId, here.upTo, to)
    const unread = await unreadOf(source, userId)
    for (const told of news) {
      if (isClosed || !(await call(key, row, here, url, unread, told))) return
      here.upTo = told.position
      await keep(key, told.position)
    }
    // Somebody read, here or on another device: the number on the icon goes down.
    const isNews = news.length === 0 && here.unread !== undefined && here.unread !== unread
    if (isNews && !(await call(key, row, here, url, unread, undefined))) return
    here.unread ??= unread
    if (news.length < MAX_PUSHES_AT_ONCE) here.upTo = Math.max(here.upTo, to)
    else isDirty = true
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
        await committer.submit({ writes: () => [pushers.delete(key)] })
        return false
      }
    } catch {
      // No answer: as an error.
    }
    here.failures += 1
    const longest = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (here.failures - 1))
    const [chance = 0] = deps.random.bytes(1)
    const wait = Math.round(longest * (0.5 + chance / 512))
    here.notBefore = clock.now() + wait
    const cancel = clock.after(wait, () => {
      timers.delete(cancel)
      wake()
    })
    timers.add(cancel)
    return false
  }

  /** Unless the pusher was set anew, or removed, in the meantime. */
  const keep = async (key: Key, upTo: number): Promise<void> => {
    const row = await pushers.get(store, key)
    if (row === undefined || (row.upTo ?? 0) >= upTo) return
    await committer.submit({ durability: 'relaxed', writes: () => [pushers.put(key, { ...row, upTo })] })
  }

  const stop = committer.onCommit((_, maps) => {
    // A change of what only a pusher keeps is no news.
    if (!isClosed && [...maps].some((map) => map !== pushers.map && map !== 'stream')) wake()
  })

  return {
    resume() {
      if (!isClosed) wake()
    },
    async idle() {
      while (working !== undefined) await working
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

/** What notifies the user in (from, to], oldest first. */
async function newsOf(deps: NewsDeps, userId: UserId, from: number, to: number): Promise<readonly Told[]> {
  const { parts, clock } = deps
  const evaluate = await parts.pushRules.evaluator(userId)
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
async function unreadOf({ parts, unread }: NewsDeps, userId: UserId): Promise<number> {
  const evaluate = await parts.pushRules.evaluator(userId)
  let sum = 0
  for (const { roomId, membership } of await parts.rooms.memberships(userId)) {
    const snapshot = membership === 'join' ? await parts.rooms.snapshot(roomId) : undefined
    if (snapshot === undefined) continue
    const counts = await unread.counts(snapshot, userId, evaluate)
    for (const { notifications } of counts.values()) sum += notifications
  }
  return sum
}
