import type { ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import type { Pictures, ThumbnailSize } from '../ports.ts'
import { createThumbnails, MAX_UNDER_WAY } from './thumbnails.ts'

const SERVER = 'a.example' as ServerName
const SIZE: ThumbnailSize = { width: 32, height: 32, method: 'crop', animated: false }

function setUp(thumbnail: Pictures['thumbnail'], contentType = 'image/png') {
  let downloads = 0
  const thumbnails = createThumbnails({
    media: {
      download: async () => {
        downloads += 1
        return { bytes: Uint8Array.of(1), contentType, fileName: 'a.png' }
      },
    },
    pictures: { thumbnail },
  })
  return { get: (id = 'm', size = SIZE) => thumbnails.get(SERVER, id, size), downloads: () => downloads }
}

describe('thumbnails', () => {
  it('are made once for each size', async () => {
    const { get, downloads } = setUp(async (_bytes, { width }) => ({
      bytes: Uint8Array.of(width),
      contentType: 'image/jpeg',
    }))
    expect(await get()).toEqual({ bytes: Uint8Array.of(32), contentType: 'image/jpeg' })
    await get()
    expect(downloads()).toBe(1)
    expect((await get('m', { ...SIZE, width: 9 })).bytes).toEqual(Uint8Array.of(9))
    expect(downloads()).toBe(2)
  })

  it('are the media itself where that is small', async () => {
    const { get } = setUp(async () => 'original')
    expect(await get()).toMatchObject({ contentType: 'image/png', fileName: 'a.png' })
  })

  it.each([
    ['too-large', 'M_TOO_LARGE'],
    ['unreadable', 'M_UNKNOWN'],
  ] as const)('are not there for what is %s', async (verdict, errcode) => {
    await expect(setUp(async () => verdict).get()).rejects.toMatchObject({ errcode })
  })

  it.each(['image/svg+xml', 'application/octet-stream', 'text/html'])(
    'are not there for %s',
    async (type) => {
      await expect(setUp(async () => 'original', type).get()).rejects.toMatchObject({ errcode: 'M_UNKNOWN' })
    },
  )

  it('are made a few at a time', async () => {
    const finish: (() => void)[] = []
    const { get } = setUp(
      () =>
        new Promise((resolve) => {
          finish.push(() => resolve('original'))
        }),
    )
    const first = Array.from({ length: MAX_UNDER_WAY }, () => get())
    await expect(get()).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
    for (const done of finish) done()
    await Promise.all(first)
    const more = get()
    await Promise.resolve()
    await expect.poll(() => finish.length).toBe(MAX_UNDER_WAY + 1)
    finish.at(-1)?.()
    await more
  })
})
