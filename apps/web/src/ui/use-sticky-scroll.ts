import { useCallback, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { TimelineItem } from './model.ts'

/** Within this many pixels of the end counts as being there. */
const END_SLACK = 80

export type StickyScroll = { readonly atEnd: boolean; readonly toEnd: () => void }

/** What was shown last: the keys of the oldest and the newest item, and the height of all in pixels. */
type Before = {
  readonly first: string | undefined
  readonly newest: string | undefined
  readonly height: number
}

/** Stays at the end while it is there, and keeps what is read in place when earlier items are put above. */
export function useStickyScroll(
  scroller: { readonly current: HTMLElement | null },
  items: readonly TimelineItem[],
): StickyScroll {
  const [atEnd, setAtEnd] = useState(true)
  const sticking = useRef(true)
  const before = useRef<Before>({ first: undefined, newest: undefined, height: 0 })

  useLayoutEffect(() => {
    const element = scroller.current
    if (element === null) return
    const { first, newest, height } = before.current
    const keys = { first: items[0]?.key, newest: items.at(-1)?.key }
    if (first === undefined || (keys.newest !== newest && ownIsNewest(items))) sticking.current = true
    // At the end nothing is measured here: the observer moves to the new end once the browser has laid the page out.
    if (sticking.current) {
      before.current = { ...keys, height }
      return
    }
    if (keys.first !== first) element.scrollTop += element.scrollHeight - height
    before.current = { ...keys, height: element.scrollHeight }
  }, [items])

  // Observed from before the first frame, so that a room opens at its end.
  useLayoutEffect(() => {
    const element = scroller.current
    if (element === null) return undefined
    const measure = (): void => {
      // What grew in this frame is brought into view after its layout.
      if (sticking.current && element.scrollHeight !== before.current.height) return
      const gap = element.scrollHeight - element.scrollTop - element.clientHeight
      sticking.current = gap < END_SLACK
      setAtEnd(sticking.current)
    }
    // Images that load and a window that changes its size move the end as well.
    const observer = new ResizeObserver(() => {
      if (sticking.current) element.scrollTop = element.scrollHeight
      before.current = { ...before.current, height: element.scrollHeight }
    })
    observer.observe(element)
    if (element.firstElementChild !== null) observer.observe(element.firstElementChild)
    element.addEventListener('scroll', measure, { passive: true })
    return () => {
      observer.disconnect()
      element.removeEventListener('scroll', measure)
    }
  }, [])

  const toEnd = useCallback(() => {
    const element = scroller.current
    if (element !== null) element.scrollTop = element.scrollHeight
  }, [])
  return { atEnd, toEnd }
}

/** What one just wrote is always brought into view. */
function ownIsNewest(items: readonly TimelineItem[]): boolean {
  const newest = items.at(-1)
  return newest?.kind === 'message' && newest.own && newest.delivery.kind === 'sending'
}
