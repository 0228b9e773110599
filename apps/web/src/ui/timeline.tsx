import { Fragment, type JSX } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { announce } from './announcer.tsx'
import { dayName, listNames } from './format.ts'
import { DownIcon } from './icons.tsx'
import { Message } from './message.tsx'
import { spokenText } from './message-text.ts'
import type { MessageItem, RoomModel, TimelineItem } from './model.ts'
import { Spinner } from './parts.tsx'
import { timelineRows, type TimelineRow } from './timeline-rows.ts'
import { useStickyScroll } from './use-sticky-scroll.ts'

/** How long the newest message is on the screen before it counts as read: what comes at once is read at once. */
const READ_AFTER_MS = 100

export type TimelineProps = {
  readonly room: RoomModel
  readonly onReply: (item: MessageItem) => void
}

export function Timeline({ room, onReply }: TimelineProps): JSX.Element {
  const items = room.items.value
  const rows = useRows({ room, onReply }, items)
  const scroller = useRef<HTMLDivElement>(null)
  const { atEnd, toEnd } = useStickyScroll(scroller, items)
  useAnnounced(items)
  useReadMark(room, items, atEnd)
  return (
    <section class="timeline" aria-label="Timeline" tabIndex={-1}>
      <div class="timeline-scroll" ref={scroller} tabIndex={0}>
        <div class="timeline-items">
          <Start room={room} root={scroller} empty={items.length === 0} />
          {rows}
        </div>
      </div>
      {!atEnd && (
        <button type="button" class="to-end" aria-label="To the newest" onClick={toEnd}>
          <DownIcon />
        </button>
      )}
      <TypingLine room={room} />
    </section>
  )
}

type DrawnRow = { readonly row: TimelineRow; readonly drawn: JSX.Element }

/** One element per item, the same one while nothing of it changes, so that a new message costs little in a long room. */
function useRows({ room, onReply }: TimelineProps, items: readonly TimelineItem[]): readonly JSX.Element[] {
  const before = useRef<ReadonlyMap<string, DrawnRow>>(new Map())
  return useMemo(() => {
    const drawn = new Map<string, DrawnRow>()
    for (const row of timelineRows(items)) {
      const known = before.current.get(row.item.key)
      const entry =
        known !== undefined && isSame(known.row, row) ? known : { row, drawn: draw(row, room, onReply) }
      drawn.set(row.item.key, entry)
    }
    before.current = drawn
    return [...drawn.values()].map((entry) => entry.drawn)
  }, [items, room])
}

function isSame(a: TimelineRow, b: TimelineRow): boolean {
  return a.item === b.item && a.newDay === b.newDay && a.first === b.first && a.last === b.last
}

function draw(
  { item, newDay, first, last }: TimelineRow,
  room: RoomModel,
  onReply: TimelineProps['onReply'],
): JSX.Element {
  return (
    <Fragment key={item.key}>
      {newDay && (
        <div class="day" role="separator">
          <span>{dayName(item.time, Date.now())}</span>
        </div>
      )}
      {item.kind === 'notice' ? (
        <p class="notice">{item.text}</p>
      ) : (
        <Message item={item} room={room} first={first} last={last} onReply={onReply} />
      )}
    </Fragment>
  )
}

/** What stands above the oldest message: fetches more when it comes into view, and says how that goes. */
function Start(props: {
  room: RoomModel
  root: { readonly current: HTMLDivElement | null }
  empty: boolean
}): JSX.Element {
  const { room, root, empty } = props
  const mark = useRef<HTMLDivElement>(null)
  const state = room.backfill.value
  const loadOlder = (): void => {
    room.loadOlder().catch(reportError)
  }
  useEffect(() => {
    const element = mark.current
    if (element === null || state !== 'more') return undefined
    const load = (entries: readonly IntersectionObserverEntry[]): void => {
      if (entries.some((entry) => entry.isIntersecting)) room.loadOlder().catch(reportError)
    }
    const observer = new IntersectionObserver(load, { root: root.current, rootMargin: '400px 0px 0px' })
    observer.observe(element)
    return () => observer.disconnect()
  }, [state, room])
  return (
    <div class="timeline-start" ref={mark}>
      {state === 'loading' && <Spinner label="Fetching earlier messages" />}
      {state === 'more' && !empty && (
        <button type="button" class="link-button" onClick={loadOlder}>
          Load earlier messages
        </button>
      )}
      {state === 'failed' && (
        <p>
          Nobody who has the earlier messages is reachable.{' '}
          <button type="button" class="link-button" onClick={loadOlder}>
            Try again
          </button>
        </p>
      )}
      {state === 'start' && <p>This is where {room.summary.value.name} begins.</p>}
    </div>
  )
}

function TypingLine({ room }: { room: RoomModel }): JSX.Element {
  const names = room.typing.value
  return (
    <div class="typing" aria-live="off">
      {names.length > 0 && (
        <>
          <span class="typing-dots" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          {listNames(names)} {names.length === 1 ? 'is' : 'are'} typing
        </>
      )}
    </div>
  )
}

/** Reads out what arrives at the end, not what was loaded above or was there before. */
function useAnnounced(items: readonly TimelineItem[]): void {
  const newest = useRef<string | undefined>(undefined)
  useEffect(() => {
    const known = newest.current
    newest.current = items.at(-1)?.key
    if (known === undefined) return
    const index = items.findLastIndex((item) => item.key === known)
    if (index === -1) return
    const fresh = items.slice(index + 1).filter((item) => item.kind === 'message' && !item.own)
    const last = fresh.at(-1)
    if (last?.kind !== 'message') return
    announce(
      fresh.length === 1 ? `${last.senderName}: ${spokenText(last.content)}` : `${fresh.length} new messages`,
    )
  }, [items])
}

/** Marks the room read while its end is on the screen of a page that is looked at. */
function useReadMark(room: RoomModel, items: readonly TimelineItem[], atEnd: boolean): void {
  const [visible, setVisible] = useState(document.visibilityState === 'visible')
  useEffect(() => {
    const look = (): void => setVisible(document.visibilityState === 'visible')
    document.addEventListener('visibilitychange', look)
    return () => document.removeEventListener('visibilitychange', look)
  }, [])
  const newest = items.at(-1)?.key
  useEffect(() => {
    if (!visible || !atEnd || newest === undefined) return undefined
    const timer = setTimeout(() => room.markRead(), READ_AFTER_MS)
    return () => clearTimeout(timer)
  }, [visible, atEnd, newest, room])
}
