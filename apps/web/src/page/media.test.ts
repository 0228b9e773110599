import { parseServerName, type ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { encryptAttachment } from './attachment.ts'
import { fetchMedia, type MediaAccess } from './media.ts'

const SERVER = parseServerName('friend.example')
const SENT = new TextEncoder().encode('what was sent')

/** A node that keeps what it fetched, until it is told to forget it; `served` is what the other server answers. */
function nodeThatKeeps(served: () => Uint8Array) {
  const forgotten: [ServerName, string][] = []
  let kept: Uint8Array | undefined
  const access: MediaAccess = {
    accessToken: 'token',
    fetch: () => {
      kept ??= served()
      return Promise.resolve(new Response(new Uint8Array(kept)))
    },
    forget(server, mediaId) {
      forgotten.push([server, mediaId])
      kept = undefined
      return Promise.resolve()
    },
  }
  return { access, forgotten }
}

describe('media that fails its hash check', () => {
  it('is fetched anew at the next attempt', async () => {
    const { encrypted, info } = await encryptAttachment(SENT)
    const answers = [Uint8Array.from(encrypted, (byte) => byte ^ 1), encrypted]
    const { access, forgotten } = nodeThatKeeps(() => answers.shift() ?? new Uint8Array())
    const media = {
      url: `mxc://${SERVER}/abc`,
      mime: 'application/octet-stream',
      size: undefined,
      encryption: { key: info.key.k, iv: info.iv, sha256: info.hashes.sha256 },
    }
    await expect(fetchMedia(access, media, false)).rejects.toThrow('its hash is wrong')
    expect(forgotten).toEqual([[SERVER, 'abc']])
    const blob = await fetchMedia(access, media, false)
    expect(new Uint8Array(await blob.arrayBuffer())).toEqual(SENT)
  })

  it('is kept when it is the key that is wrong', async () => {
    const { encrypted, info } = await encryptAttachment(SENT)
    const { access, forgotten } = nodeThatKeeps(() => encrypted)
    const encryption = { key: 'AAAA', iv: info.iv, sha256: info.hashes.sha256 }
    const media = { url: `mxc://${SERVER}/abc`, mime: '', size: undefined, encryption }
    await expect(fetchMedia(access, media, false)).rejects.toThrow('key of this file is damaged')
    expect(forgotten).toEqual([])
  })
})
