import type { ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import type { WebPage, WebPages } from '../ports.ts'
import { createPreviews, MAX_UNDER_WAY } from './previews.ts'

function setUp(read: WebPages['read']) {
  let now = 0
  const cached: Uint8Array[] = []
  const previews = createPreviews(
    {
      clock: { now: () => now, after: () => () => undefined },
      signer: { name: 'a.example' as ServerName },
    },
    {
      media: {
        cache: async (bytes) => (bytes.length > 3 ? undefined : `m${cached.push(bytes)}`),
      },
      webPages: { read },
    },
  )
  return { previews, wait: (ms: number) => (now += ms) }
}

const picture = (size: number): WebPage => ({
  properties: { 'og:title': 'T' },
  picture: { bytes: new Uint8Array(size), contentType: 'image/png', width: 8, height: 4 },
})

describe('previews', () => {
  it('keep the picture as media', async () => {
    const { previews } = setUp(async (url) => picture(url.length))
    expect(await previews.preview('abc')).toEqual({
      'og:title': 'T',
      'og:image': 'mxc://a.example/m1',
      'og:image:type': 'image/png',
      'og:image:width': 8,
      'og:image:height': 4,
      'matrix:image:size': 3,
    })
    expect(await previews.preview('abcd')).toEqual({ 'og:title': 'T' })
  })

  it('are made once for all who ask, for an hour; failures for a minute', async () => {
    const asked: string[] = []
    const { previews, wait } = setUp(async (url) => {
      asked.push(url)
      return url === 'none' ? 'failed' : url === 'never' ? 'refused' : { properties: {} }
    })
    await Promise.all([previews.preview('a'), previews.preview('a')])
    await expect(previews.preview('none')).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
    await expect(previews.preview('never')).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    wait(59_999)
    await previews.preview('a')
    await expect(previews.preview('none')).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
    expect(asked).toEqual(['a', 'none', 'never'])
    wait(1)
    await expect(previews.preview('none')).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
    expect(asked).toEqual(['a', 'none', 'never', 'none'])
    wait(3_540_000)
    await previews.preview('a')
    expect(asked.at(-1)).toBe('a')
  })

  it('are made a few at a time', async () => {
    const finish: (() => void)[] = []
    const { previews } = setUp(
      () =>
        new Promise((resolve) => {
          finish.push(() => resolve({ properties: {} }))
        }),
    )
    const first = Array.from({ length: MAX_UNDER_WAY }, (_, index) => previews.preview(String(index)))
    await expect(previews.preview('more')).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
    for (const done of finish) done()
    await Promise.all(first)
    const more = previews.preview('more')
    finish.at(-1)?.()
    expect(await more).toEqual({})
  })
})
