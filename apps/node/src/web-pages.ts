/** The web as the engine's previews see it. */
import { OutboundError, type Outbound, type OutboundResponse } from '@plexus/daemon'
import type { WebPage, WebPages } from '@plexus/engine/ports'
import { factsOf } from './page-facts.ts'
import { decodePage } from './page-text.ts'
import { measure } from './pictures.ts'

export const MAX_PAGE_BYTES: number = 8 * 1024 * 1024
const MAX_PICTURE_BYTES: number = 8 * 1024 * 1024
/** Of a page, and again of its picture. */
const TIMEOUT_MS = 10_000
const MAX_REDIRECTS = 5

const HEADERS: Readonly<Record<string, string>> = {
  Accept: 'text/html,application/xhtml+xml,image/*;q=0.9,*/*;q=0.5',
  'User-Agent': 'Plexus/0.1 (bot; link previews)',
}
const HTML: ReadonlySet<string> = new Set(['text/html', 'application/xhtml+xml'])

export function createWebPages(outbound: Outbound): WebPages {
  const get = (url: string, maxBytes: number): Promise<OutboundResponse> =>
    outbound.request(url, { headers: HEADERS, maxBytes, timeoutMs: TIMEOUT_MS, maxRedirects: MAX_REDIRECTS })

  const pictureAt = async (url: string): Promise<WebPage['picture']> => {
    try {
      const { status, bytes } = await get(url, MAX_PICTURE_BYTES)
      return isSuccess(status) ? await measure(bytes) : undefined
    } catch (error) {
      if (error instanceof OutboundError) return undefined
      throw error
    }
  }

  const describe = async ({ headers, bytes, url }: OutboundResponse): Promise<WebPage> => {
    const contentType = headers['content-type'] ?? ''
    const type = contentType.replace(/;.*/s, '').trim().toLowerCase()
    if (HTML.has(type)) {
      const { properties, picture, base } = await factsOf(decodePage(bytes, contentType))
      const at = picture === undefined ? undefined : resolve(picture, resolve(base ?? '', url.href))
      return withPicture(properties, at === undefined ? undefined : await pictureAt(at))
    }
    const name = fileNameOf(url)
    const properties: WebPage['properties'] = name === undefined ? {} : { 'og:title': name }
    return withPicture(properties, type.startsWith('image/') ? await measure(bytes) : undefined)
  }

  return {
    async read(url) {
      try {
        const answer = await get(url, MAX_PAGE_BYTES)
        return isSuccess(answer.status) ? await describe(answer) : 'failed'
      } catch (error) {
        if (error instanceof OutboundError) return error.code === 'refused' ? 'refused' : 'failed'
        throw error
      }
    },
  }
}

const isSuccess = (status: number): boolean => status >= 200 && status < 300

const withPicture = (properties: WebPage['properties'], picture: WebPage['picture']): WebPage => ({
  properties,
  ...(picture === undefined ? {} : { picture }),
})

const resolve = (url: string, base: string | undefined): string | undefined => URL.parse(url, base)?.href

/** The last part of the path, decoded as far as it can be. */
function fileNameOf({ pathname }: URL): string | undefined {
  const last = pathname.split('/').at(-1) ?? ''
  try {
    return decodeURIComponent(last).replaceAll(/\p{Cc}|\p{Cf}/gu, '') || undefined
  } catch {
    return last
  }
}
