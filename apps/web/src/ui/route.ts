/** The screens, and their form in the fragment of the address. */

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
