import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { TimelineItem } from './model.ts'

/** Within this many pixels of the end counts as being there. */
const END_SLACK = 80

export type StickyScroll = { readonly atEnd: boolean; readonly toEnd: () => void }

/** Stays at the end while it is there, and keeps what is read in place when earlier items are put above. */
export function useStickyScroll(
  scroller: { readonly current: HTMLElement | null },
  items: readonly TimelineItem[],
): StickyScroll {
  const [atEnd, setAtEnd] = useState(true)
  const sticking = useRef(true)
  const before = useRef<{ first: string | undefined; height: number }>({ first: undefined, height: 0 })

  useLayoutEffect(() => {
    const element = scroller.current
    if (element === null) return
    const first = items[0]?.key
    if (sticking.current || ownIsNewest(items, before.current.first === undefined))
      element.scrollTop = element.scrollHeight
    else if (first !== before.current.first) element.scrollTop += element.scrollHeight - before.current.height
    before.current = { first, height: element.scrollHeight }
  }, [items])

  useEffect(() => {
    const element = scroller.current
    if (element === null) return undefined
    const measure = (): void => {
      const gap = element.scrollHeight - element.scrollTop - element.clientHeight
      sticking.current = gap < END_SLACK
      setAtEnd(sticking.current)
    }
    // Images that load and a window that changes its size move the end as well.
    const observer = new ResizeObserver(() => {
      if (sticking.current) element.scrollTop = element.scrollHeight
      before.current = { first: before.current.first, height: element.scrollHeight }
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
function ownIsNewest(items: readonly TimelineItem[], opening: boolean): boolean {
  const newest = items.at(-1)
  return opening || (newest?.kind === 'message' && newest.own && newest.delivery.kind === 'sending')
}
