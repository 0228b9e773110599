/** Which screen is shown, kept in the fragment so that back, forward and reload do what one expects. */
import { type ReadonlySignal, signal } from '@preact/signals'
import { parseRoute, routeHref, type Route } from './route.ts'

const current = signal<Route>({ page: 'home' })
export const route: ReadonlySignal<Route> = current

/** Follows the address bar from here on. */
export function startRouter(): void {
  const read = (): void => {
    current.value = parseRoute(location.hash)
  }
  addEventListener('popstate', read)
  addEventListener('hashchange', read)
  read()
}

export function go(target: Route, options: { replace?: boolean } = {}): void {
  const href = routeHref(target)
  // The depth tells `goBack` whether the page before belongs to the app.
  const depth = stateDepth() + (options.replace === true ? 0 : 1)
  if (options.replace === true) history.replaceState({ depth }, '', href)
  else if (location.hash !== href) history.pushState({ depth }, '', href)
  current.value = target
}

/** To the screen before, or to the list where there is none. */
export function goBack(): void {
  if (stateDepth() > 0) history.back()
  else go({ page: 'home' }, { replace: true })
}

/** For links: lets the browser open new tabs and windows, and does the rest without leaving the page. */
export function followLink(event: MouseEvent, target: Route): void {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  event.preventDefault()
  go(target)
}

function stateDepth(): number {
  const state: unknown = history.state
  const depth = typeof state === 'object' && state !== null && 'depth' in state ? state.depth : 0
  return typeof depth === 'number' ? depth : 0
}
