import { parseRoomId, parseUserId } from '@plexus/core'
import type { OpenedLink } from '@plexus/engine/ports'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { decodeInvite } from './invite-link.ts'
import { createOpenedLinks } from './opened-links.ts'

const as = parseUserId('@ben:k51.example') ?? expect.fail()
const inviter = parseUserId('@ada:k51.example') ?? expect.fail()
const roomOf = (n: number) => parseRoomId(`!${n}:k51.example`) ?? expect.fail()
const linkOf = (n: number) => ({
  roomId: roomOf(n),
  token: 't',
  secret: 'A'.repeat(43),
  inviter,
  multiaddrs: [],
  roomName: 'Hut',
})

describe('opened links', () => {
  beforeEach(() => vi.stubGlobal('location', { origin: 'https://plexus.example', pathname: '/' }))
  afterEach(() => vi.unstubAllGlobals())

  it('say what became of them, and can be opened again', async () => {
    const rows: readonly OpenedLink[] = [
      { link: linkOf(1), expires: Date.now() + 60_000, refused: false },
      { link: linkOf(2), expires: Date.now() + 60_000, refused: true },
      { link: linkOf(3), expires: Date.now() - 1, refused: false },
    ]
    let answer = rows
    const call = vi.fn(async () => answer as never)
    const { links, changed, forget } = createOpenedLinks({ call }, as)
    await expect
      .poll(() => links.value.map(({ state }) => state))
      .toEqual(['waiting', 'refused', 'unanswered'])
    expect(call).toHaveBeenLastCalledWith('openedLinks', as)
    expect(links.value[0]).toMatchObject({ key: roomOf(1), inviter, roomName: 'Hut' })
    expect(decodeInvite(new URL(links.value[0]?.url ?? '').hash)).toMatchObject({
      kind: 'link',
      link: { roomId: roomOf(1), token: 't' },
    })
    await forget(roomOf(2))
    expect(call).toHaveBeenLastCalledWith('forgetOpenedLink', { roomId: roomOf(2), as })
    answer = rows.slice(0, 1)
    changed()
    await expect.poll(() => links.value).toHaveLength(1)
  })
})
