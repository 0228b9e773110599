import { parseServerName, type ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { createPeerBook, MAX_KNOWN_NAMES, type KnownPeer, type PeerMemory } from './peer-book.ts'
import { silentLog } from './testing/accounts.ts'
import { createVirtualClock } from './testing/virtual-clock.ts'
import { MAX_HELLO_ADDRESSES } from './wire/limits.ts'

const PEER = '12D3KooWLUZUuPYNTYZ3xqCiYzMwqfMG4mRmpNhGwVjVxBCfJoBk'
const OTHER = '12D3KooWJsPyoEHJYkUDaFRYBBRHcLbmvFo9mtfQYHBNXjgvUPeC'
const at = (port: number, peerId = PEER): string => `/ip4/8.8.8.8/tcp/${port}/p2p/${peerId}`

function nameOf(text: string): ServerName {
  const name = parseServerName(text)
  if (name === undefined) throw new Error(text)
  return name
}
const name = nameOf('one.example')

async function open(kept: readonly KnownPeer[] = [], wanted: readonly string[] = []) {
  const clock = createVirtualClock()
  const saved: (readonly KnownPeer[])[] = []
  const memory: PeerMemory = {
    load: () => Promise.resolve(kept),
    save(peers) {
      saved.push(peers)
      return Promise.resolve()
    },
  }
  const book = await createPeerBook({
    clock,
    log: silentLog,
    memory,
    wanted: (name) => wanted.includes(name),
  })
  return { clock, saved, book }
}

describe('the peer book', () => {
  it('keeps what it learns, and has it again after a restart', async () => {
    const { book, saved } = await open()
    book.learn({ name, multiaddrs: [at(1)] })
    book.met(name, PEER, [at(2)])
    await book[Symbol.asyncDispose]()
    const again = await open(saved.at(-1))
    expect(again.book.get(name)).toMatchObject({ peerIds: [PEER], multiaddrs: [at(2)], hints: [at(1)] })
  })

  it('saves once for many changes of a moment', async () => {
    const { book, saved, clock } = await open()
    for (let port = 1; port < 9; port += 1) book.learn({ name, multiaddrs: [at(port)] })
    clock.advance(1_000)
    await book[Symbol.asyncDispose]()
    expect(saved).toHaveLength(1)
  })

  it('drops what is no address of a peer', async () => {
    const { book } = await open()
    book.learn({ name, multiaddrs: ['nonsense', '/ip4/8.8.8.8/tcp/1', `${at(1)}${'/x'.repeat(300)}`] })
    expect(book.get(name)).toBeUndefined()
  })

  it('keeps a bounded number of addresses, the latest first', async () => {
    const { book } = await open()
    for (let port = 1; port <= 50; port += 1) book.learn({ name, multiaddrs: [at(port)] })
    expect(book.get(name)?.hints).toHaveLength(MAX_HELLO_ADDRESSES)
    expect(book.get(name)?.hints[0]).toBe(at(50))
  })

  it('replaces what a peer told by what it tells, and leaves its other devices', async () => {
    const { book } = await open()
    book.met(name, PEER, [at(1), at(2)])
    book.met(name, OTHER, [at(3, OTHER), at(9, PEER)])
    book.met(name, PEER, [at(4)])
    expect(book.get(name)?.multiaddrs).toEqual([at(4), at(3, OTHER)])
    expect(book.get(name)?.peerIds).toEqual([PEER, OTHER])
    book.met(name, PEER, [])
    expect(book.get(name)?.multiaddrs).toEqual([at(4), at(3, OTHER)])
  })

  it('forgets a peer id that speaks for another name', async () => {
    const { book } = await open()
    book.learn({ name, multiaddrs: [at(1), at(2, OTHER)] })
    book.mistaken(name, PEER)
    expect(book.get(name)?.hints).toEqual([at(2, OTHER)])
    book.mistaken(nameOf('nobody.example'), PEER)
  })

  it('forgets the name that was not seen for longest', async () => {
    const { book } = await open()
    for (let n = 0; n < MAX_KNOWN_NAMES; n += 1)
      book.learn({ name: nameOf(`n${n}.example`), multiaddrs: [at(1)] })
    book.met(nameOf('n0.example'), PEER, [])
    book.learn({ name, multiaddrs: [at(1)] })
    expect(book.get(nameOf('n0.example'))).toBeDefined()
    expect(book.get(nameOf('n1.example'))).toBeUndefined()
    expect(book.get(name)).toBeDefined()
  })

  it('does not let strangers push out a wanted name', async () => {
    const { book } = await open([], [name])
    book.met(name, PEER, [at(1)])
    for (let n = 0; n < MAX_KNOWN_NAMES + 10; n += 1) book.met(nameOf(`n${n}.example`), OTHER, [])
    expect(book.get(name)).toBeDefined()
    expect(book.get(nameOf('n0.example'))).toBeUndefined()
  })

  it('takes damaged records for none', async () => {
    const damaged = [
      { name: '!', peerIds: [], multiaddrs: [], hints: [], lastSeen: 0 },
      { name: 'a.example', peerIds: 5, multiaddrs: [], hints: [], lastSeen: 0 },
      { name: 'b.example', peerIds: [], multiaddrs: ['x', at(1)], hints: [7], lastSeen: 0 },
      { name: 'c.example', peerIds: [], multiaddrs: [], hints: [], lastSeen: Number.NaN },
    ] as unknown as readonly KnownPeer[]
    const { book } = await open(damaged)
    expect(book.get(nameOf('a.example'))).toBeUndefined()
    expect(book.get(nameOf('b.example'))).toMatchObject({ multiaddrs: [at(1)], hints: [] })
    expect(book.get(nameOf('c.example'))).toBeUndefined()
  })

  it('goes on when it cannot be saved', async () => {
    const clock = createVirtualClock()
    const lines: string[] = []
    const memory = { load: () => Promise.resolve([]), save: () => Promise.reject(new Error('full')) }
    const book = await createPeerBook({
      clock,
      memory,
      wanted: () => false,
      log: { log: (_level, message) => lines.push(message) },
    })
    book.learn({ name, multiaddrs: [at(1)] })
    await book[Symbol.asyncDispose]()
    expect(lines).toEqual(['known peers were not saved'])
  })
})
