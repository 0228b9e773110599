/** Files that people on a Plexus node and on Synapse share, whole and as thumbnails. */
import { expect, it } from 'vitest'
import { at, text } from '../../kit/api-client.ts'
import { noisePng } from '../../kit/image.ts'
import { scenario } from './scenario.ts'

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47]

scenario('media', (room) => {
  it('downloads what the other side uploaded', async () => {
    const bytes = new Uint8Array(noisePng(300, 200).bytes)
    const upload = await room.owner.raw('POST', '/_matrix/media/v3/upload?filename=noise.png', {
      body: bytes,
      contentType: 'image/png',
    })
    const uri = new URL(text((await upload.json()) as object as never, 'content_uri'))
    const [server, id] = [uri.host, uri.pathname.slice(1)]
    const whole = await room.guest.raw('GET', at`v1/media/download/${server}/${id}`)
    expect(whole.status).toBe(200)
    expect(whole.headers.get('content-type')).toBe('image/png')
    expect(whole.headers.get('content-disposition')).toContain('noise.png')
    expect(new Uint8Array(await whole.arrayBuffer())).toEqual(bytes)
    const thumbnail = `${at`v1/media/thumbnail/${server}/${id}`}?width=32&height=32&method=crop`
    const small = await room.guest.raw('GET', thumbnail)
    expect(small.status).toBe(200)
    const picture = new Uint8Array(await small.arrayBuffer())
    expect([...picture.subarray(0, 4)]).toEqual(PNG_SIGNATURE)
    expect(picture.length).toBeLessThan(bytes.length)
    expect((await room.guest.ask('GET', at`v1/media/download/${server}/${'nothing'}`)).status).toBe(404)
  })
})
