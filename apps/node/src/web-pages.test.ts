import { OutboundError, type Outbound, type OutboundResponse } from '@plexus/daemon'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { createWebPages } from './web-pages.ts'

type Page = { readonly type?: string; readonly body: string | Uint8Array; readonly status?: number }

/** A web of these pages; whatever is not there cannot be reached, and `private` is refused. */
function web(pages: Readonly<Record<string, Page>>): Outbound {
  return {
    async request(at): Promise<OutboundResponse> {
      const url = new URL(at)
      if (url.hostname === 'private.example') throw new OutboundError('refused', 'no')
      const page = pages[url.href]
      if (page === undefined) throw new OutboundError('unreachable', 'nobody')
      const bytes = typeof page.body === 'string' ? new TextEncoder().encode(page.body) : page.body
      const headers = page.type === undefined ? {} : { 'content-type': page.type }
      return { status: page.status ?? 200, headers, bytes, url }
    },
  }
}

const png = await sharp({ create: { width: 3, height: 2, channels: 3, background: 'red' } })
  .png()
  .toBuffer()
const PICTURE = { contentType: 'image/png', width: 3, height: 2 }
const HERE = 'https://a.example/x/page'

const read = (
  pages: Readonly<Record<string, Page>>,
  url = HERE,
): ReturnType<ReturnType<typeof createWebPages>['read']> => createWebPages(web(pages)).read(url)

describe('a web page', () => {
  it('has its picture from where it says, relative to it or its base', async () => {
    const pages = (html: string): Record<string, Page> => ({
      [HERE]: { type: 'text/html', body: html },
      'https://a.example/x/p.png': { type: 'text/plain', body: png },
      'https://b.example/p.png': { type: 'image/png', body: png },
      'https://a.example/svg': { type: 'image/png', body: '<svg/>' },
      'https://a.example/gone': { status: 404, body: png },
    })
    const pictureOf = async (html: string): Promise<unknown> => {
      const page = await read(pages(`<title>T</title>${html}`))
      expect(page).toMatchObject({ properties: { 'og:title': 'T' } })
      return typeof page === 'string' ? page : page.picture
    }
    const image = (url: string): string => `<meta property=og:image content="${url}">`
    expect(await pictureOf(image('p.png'))).toMatchObject(PICTURE)
    expect(await pictureOf(image('https://b.example/p.png'))).toMatchObject(PICTURE)
    expect(await pictureOf(`<base href="//b.example">${image('p.png')}`)).toMatchObject(PICTURE)
    for (const url of [
      '/svg',
      '/gone',
      '/none',
      'https://private.example/',
      'data:image/png;base64,',
      'http://[',
      '',
    ])
      expect(await pictureOf(image(url))).toBeUndefined()
  })

  it('may be a picture or a file itself', async () => {
    const page = await read(
      { 'https://a.example/a%20b.png': { type: 'IMAGE/PNG; a=b', body: png } },
      'https://a.example/a%20b.png',
    )
    expect(page).toMatchObject({ properties: { 'og:title': 'a b.png' }, picture: PICTURE })
    expect(await read({ [HERE]: { type: 'application/pdf', body: 'x' } })).toEqual({
      properties: { 'og:title': 'page' },
    })
    const odd = 'https://a.example/%FF'
    expect(await read({ [odd]: { body: 'x' } }, odd)).toEqual({ properties: { 'og:title': '%FF' } })
    expect(await read({ 'https://a.example/': { body: 'x' } }, 'https://a.example/')).toEqual({
      properties: {},
    })
  })

  it('that does not come, or may not be asked for, has no facts', async () => {
    expect(await read({})).toBe('failed')
    expect(await read({ [HERE]: { status: 404, body: 'x' } })).toBe('failed')
    expect(await read({}, 'https://private.example/')).toBe('refused')
  })
})
