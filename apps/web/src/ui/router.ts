/** Which screen is shown, kept in the fragment so that back, forward and reload do what one expects. */
import { type ReadonlySignal, signal } from '@preact/signals'

export type Route =
  | { readonly page: 'home' }
  | { readonly page: 'room'; readonly roomId: string }
  | { readonly page: 'connection' }
  | { readonly page: 'settings' }

/** Longest fragment that is read as a route; a room id has at most 255 bytes. */
const MAX_ROUTE_LENGTH = 1_000

export function parseRoute(fragment: string): Route {
  if (fragment.length > MAX_ROUTE_LENGTH) return { page: 'home' }
  const [, page, argument = ''] = fragment.replace(/^#/, '').split('/')
  if (page === 'connection' || page === 'settings') return { page }
  if (page === 'room' && argument !== '') {
    try {
      return { page: 'room', roomId: decodeURIComponent(argument) }
    } catch (error) {
      if (!(error instanceof URIError)) throw error
    }
  }
  return { page: 'home' }
}

export function routeHref(route: Route): string {
  if (route.page === 'home') return '#/'
  return route.page === 'room' ? `#/room/${encodeURIComponent(route.roomId)}` : `#/${route.page}`
}

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
