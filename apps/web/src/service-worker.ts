/**
 * Keeps the whole build in a cache, so that the app opens with its server dead. The version is the hash of all files:
 * a page always gets one build as a whole, and a newer one only after the user agreed.
 */
declare const self: ServiceWorkerGlobalScope

/** A file of the build: its address and the SHA-256 of its bytes, URL-safe base64. The build fills it in. */
type Precached = readonly [url: string, hash: string]
declare const PRECACHE: { readonly version: string; readonly files: readonly Precached[] }

const PREFIX = 'plexus-app-'
const CACHE = PREFIX + PRECACHE.version
const HASHES: ReadonlyMap<string, string> = new Map(PRECACHE.files)
/** Sent by the page when the user agreed to the update. */
const UPDATE_NOW = 'update-now'
const PAGE = '/index.html'
/** Files fetched at once. */
const PARALLEL = 4

async function hashOf(bytes: ArrayBuffer): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return btoa(String.fromCharCode(...digest))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

/** The bytes are what the build wrote, or the installation fails and is tried again later. */
async function checked(url: string, response: Response): Promise<Response> {
  const bytes = await response.clone().arrayBuffer()
  if (!response.ok || (await hashOf(bytes)) !== HASHES.get(url))
    throw new Error(`${url} is not of this build`)
  // A redirected answer cannot be given to a navigation, so a plain one is kept.
  return new Response(bytes, { status: 200, headers: response.headers })
}

/** A file that an older version has with the same bytes is not fetched again. */
async function fromOlder(url: string): Promise<Response | undefined> {
  for (const name of await caches.keys()) {
    if (!name.startsWith(PREFIX) || name === CACHE) continue
    const found = await (await caches.open(name)).match(url)
    if (found === undefined) continue
    const same = await checked(url, found).catch(() => undefined)
    if (same !== undefined) return same
  }
  return undefined
}

async function store(cache: Cache, url: string): Promise<void> {
  if ((await cache.match(url)) !== undefined) return
  // Hashed names may come from the browser's cache; the others may have changed under the same name.
  const fetched = async (): Promise<Response> =>
    checked(url, await fetch(url, { cache: url.startsWith('/assets/') ? 'default' : 'no-cache' }))
  await cache.put(url, (await fromOlder(url)) ?? (await fetched()))
}

async function install(): Promise<void> {
  const cache = await caches.open(CACHE)
  const queue = [...HASHES.keys()]
  const work = async (): Promise<void> => {
    for (let url = queue.shift(); url !== undefined; url = queue.shift()) await store(cache, url)
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
}

async function activate(): Promise<void> {
  const names = await caches.keys()
  await Promise.all(
    names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)),
  )
  await self.clients.claim()
}

/** The address under which a request is kept, `undefined` for what is not of the app. */
function keptAt(request: Request): string | undefined {
  const url = new URL(request.url)
  if (request.method !== 'GET' || url.origin !== self.location.origin) return undefined
  const path = url.pathname === '/' ? PAGE : url.pathname
  return HASHES.has(path) ? path : undefined
}

async function answer(request: Request, url: string): Promise<Response> {
  const cache = await caches.open(CACHE)
  return (await cache.match(url)) ?? fetch(request)
}

self.addEventListener('install', (event) => event.waitUntil(install()))
self.addEventListener('activate', (event) => event.waitUntil(activate()))
self.addEventListener('message', (event) => {
  if (event.data === UPDATE_NOW) event.waitUntil(self.skipWaiting())
})
self.addEventListener('fetch', (event) => {
  const url = keptAt(event.request)
  if (url !== undefined) event.respondWith(answer(event.request, url))
})
