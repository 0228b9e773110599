/** spec: client-server-api/modules/content_repo.md */
import { serverOf } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { at, text } from '../../kit/api-client.ts'
import { alice, bob, network, nobody, PAGE } from './world.ts'

const PNG = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 1, 2, 3])
const upload = { bytes: PNG, contentType: 'image/png' }
const SIZE = { width: '32', height: '32', method: 'crop' }

const placeOf = (contentUri: string): string => contentUri.slice('mxc://'.length)

export function media(): void {
  describe('media', () => {
    it('POST upload, GET download and thumbnail by both ways, also of another server', async () => {
      const answer = await alice.ok('POST', '/_matrix/media/v3/upload', { upload })
      const place = placeOf(text(answer, 'content_uri'))
      for (const client of [alice, bob])
        for (const path of [
          `v1/media/download/${place}`,
          `v1/media/download/${place}/a.png`,
          `v1/media/thumbnail/${place}`,
          `/_matrix/media/v3/download/${place}`,
          `/_matrix/media/v3/download/${place}/a.png`,
          `/_matrix/media/v3/thumbnail/${place}`,
        ]) {
          const got = await client.ask('GET', path, { query: path.includes('thumbnail') ? SIZE : {} })
          expect([got.status, got.bytes]).toEqual([200, PNG])
        }
      expect(await nobody.fails('POST', '/_matrix/media/v3/upload', { upload })).toEqual([
        401,
        'M_MISSING_TOKEN',
      ])
    })

    it.each(['v1/media', '/_matrix/media/v3'])('GET from %s what is not there', async (base) => {
      const place = `${serverOf(alice.userId)}/none`
      for (const path of [`download/${place}`, `download/${place}/a.png`, `thumbnail/${place}`]) {
        const query = path.includes('thumbnail') ? SIZE : {}
        expect(await alice.fails('GET', `${base}/${path}`, { query })).toEqual([404, 'M_NOT_FOUND'])
      }
    })

    it('POST create, and PUT upload to the reserved place once', async () => {
      const made = await alice.ok('POST', '/_matrix/media/v1/create')
      expect(made['unused_expires_at']).toBeGreaterThan(network.clock.now())
      const path = `/_matrix/media/v3/upload/${placeOf(text(made, 'content_uri'))}`
      expect(await bob.fails('PUT', path, { upload })).toEqual([403, 'M_FORBIDDEN'])
      expect(await alice.ok('PUT', path, { upload })).toEqual({})
      expect(await alice.fails('PUT', path, { upload })).toEqual([409, 'M_CANNOT_OVERWRITE_MEDIA'])
      const nowhere = at`/_matrix/media/v3/upload/${serverOf(alice.userId)}/none`
      expect(await alice.fails('PUT', nowhere, { upload })).toEqual([404, 'M_NOT_FOUND'])
      expect(await nobody.fails('POST', '/_matrix/media/v1/create')).toEqual([401, 'M_MISSING_TOKEN'])
    })

    it.each(['v1/media', '/_matrix/media/v3'])('GET %s/config and preview_url', async (base) => {
      expect((await alice.ok('GET', `${base}/config`))['m.upload.size']).toBeGreaterThan(1_000_000)
      expect(await nobody.fails('GET', `${base}/config`)).toEqual([401, 'M_MISSING_TOKEN'])
      const preview = (url: string) => ({ query: { url } })
      expect(await alice.ok('GET', `${base}/preview_url`, preview(PAGE))).toEqual({ 'og:title': 'A page' })
      expect(await alice.fails('GET', `${base}/preview_url`, preview('http://127.0.0.1/'))).toEqual([
        403,
        'M_FORBIDDEN',
      ])
      expect(await alice.fails('GET', `${base}/preview_url`, preview('nonsense'))).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
    })
  })
}
