import type { ServerName } from '@plexus/core'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  createLinkTable,
  MAX_LINKS_PER_PEER,
  MAX_SPARE_LINKS,
  MAX_STRANGER_LINKS,
  type LinkTable,
} from './link-table.ts'
import {
  createAccount,
  createRequest,
  createResponse,
  silentLog,
  type TestAccount,
} from './testing/accounts.ts'
import { createStreamPair, type TestStream } from './testing/stream-pair.ts'
import { createVirtualClock } from './testing/virtual-clock.ts'

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const NOW = Date.UTC(2026, 0, 1)

let alice: TestAccount
let bob: TestAccount
beforeAll(async () => {
  const accounts = [await createAccount(), await createAccount()]
  // The lower peer id is Alice's: hers are the streams that stay.
  const [low, high] = accounts.sort((a, b) => (a.peerId < b.peerId ? -1 : 1))
  if (low === undefined || high === undefined) throw new Error('no accounts')
  alice = low
  bob = high
})

type Side = {
  readonly account: TestAccount
  readonly table: LinkTable
  readonly appeared: ServerName[]
  readonly closedConnections: string[]
  session: string
}

function createSide(
  account: TestAccount,
  wanted: (name: ServerName) => boolean = () => true,
  kept: (name: ServerName) => boolean = wanted,
): Side {
  const clock = createVirtualClock(NOW)
  const appeared: ServerName[] = []
  const side: Side = {
    account,
    appeared,
    closedConnections: [],
    session: account.peerId.length.toString(16).padStart(32, '0'),
    table: createLinkTable({
      clock,
      log: silentLog,
      ownPeerId: account.peerId,
      hello: (serial) =>
        Promise.resolve({ ...account.certify(NOW), session: side.session, serial, addresses: [] }),
      handle: () => Promise.resolve(createResponse('fine')),
      wanted,
      kept,
      greeted: () => undefined,
      appeared: (name) => appeared.push(name),
      changed: () => undefined,
    }),
  }
  return side
}

let connections = 0

/** `from` opens a stream to `to`. */
function open(
  from: Side,
  to: Side,
  path: 'direct' | 'relayed' = 'direct',
): { id: string; ends: readonly TestStream[] } {
  connections += 1
  const id = `connection ${connections}`
  const [near, far] = createStreamPair()
  const facts = (own: Side, other: Side) => ({
    id,
    peerId: other.account.peerId,
    direct: path === 'direct',
    address: '',
    close: () => void own.closedConnections.push(id),
  })
  from.table.add(near, facts(from, to), 'local')
  to.table.add(far, facts(to, from), 'remote')
  return { id, ends: [near, far] }
}

const pathOf = ({ table }: Side, name: ServerName): string | undefined =>
  table.peers().find((peer) => peer.name === name)?.path
const streams = ({ table }: Side): number[] => table.peers().map((peer) => peer.streams)

describe('of several streams to a peer', () => {
  it('both sides keep that of the lower peer id, whichever came first', async () => {
    for (const first of ['alice', 'bob']) {
      const [a, b] = [createSide(alice), createSide(bob)]
      if (first === 'alice') open(a, b)
      open(b, a)
      if (first === 'bob') open(a, b)
      await settle()
      expect([streams(a), streams(b)]).toEqual([[1], [1]])
      expect(a.table.best(bob.name)?.opener).toBe('local')
      expect(b.table.best(alice.name)?.opener).toBe('remote')
    }
  })

  it('they keep a direct one rather than a relayed one, and close what carried the other', async () => {
    const [a, b] = [createSide(alice), createSide(bob)]
    const relayed = open(a, b, 'relayed')
    await settle()
    expect([pathOf(a, bob.name), pathOf(b, alice.name)]).toEqual(['relayed', 'relayed'])
    open(b, a, 'direct')
    await settle()
    expect([pathOf(a, bob.name), pathOf(b, alice.name)]).toEqual(['direct', 'direct'])
    expect([streams(a), streams(b)]).toEqual([[1], [1]])
    expect([...a.closedConnections, ...b.closedConnections]).toContain(relayed.id)
  })

  it('they keep the connection of the others until the other side has read all that came over it', async () => {
    const [a, b] = [createSide(alice), createSide(bob)]
    const {
      id,
      ends: [farEnd],
    } = open(b, a)
    await settle()
    if (farEnd !== undefined) farEnd.stalled = true
    open(a, b)
    await settle()
    expect(streams(a)).toEqual([1])
    expect(a.closedConnections).toEqual([])
    if (farEnd !== undefined) farEnd.stalled = false
    await settle()
    expect([a.closedConnections, b.closedConnections]).toEqual([[id], [id]])
  })

  it('they keep the newest of those that one side opened', async () => {
    const [a, b] = [createSide(alice), createSide(bob)]
    open(a, b)
    await settle()
    const before = a.table.best(bob.name)
    open(a, b)
    await settle()
    expect(a.table.best(bob.name)).not.toBe(before)
    expect([streams(a), streams(b)]).toEqual([[1], [1]])
  })

  it('no request is lost while they settle', async () => {
    const [a, b] = [createSide(alice), createSide(bob)]
    open(a, b, 'relayed')
    await settle()
    const sends: Promise<unknown>[] = []
    for (let n = 0; n < 30; n += 1) {
      if (n === 10) open(b, a)
      if (n === 15) open(a, b)
      await Promise.resolve()
      sends.push(
        a.table.best(bob.name)?.request(createRequest(alice.name, bob.name), { timeoutMs: 1_000 }) ??
          Promise.reject(new Error('none')),
      )
    }
    expect(await Promise.all(sends)).toHaveLength(30)
    await settle()
    expect([streams(a), streams(b)]).toEqual([[1], [1]])
  })

  it('those of a life that is over end at once', async () => {
    const [a, b] = [createSide(alice), createSide(bob)]
    open(a, b)
    await settle()
    const stale = a.table.best(bob.name)
    const reborn = createSide(bob)
    reborn.session = 'f'.repeat(32)
    open(reborn, a, 'relayed')
    await settle()
    expect(stale?.state).toBe('closed')
    expect(a.table.best(bob.name)?.opener).toBe('remote')
    expect(b.table.best(alice.name)).toBeUndefined()
  })
})

describe('the link table', () => {
  it('tells when a name can be reached that could not', async () => {
    const [a, b] = [createSide(alice), createSide(bob)]
    const { ends } = open(a, b)
    await settle()
    open(b, a)
    await settle()
    expect(a.appeared).toEqual([bob.name])
    for (const link of [a.table.best(bob.name)]) link?.close('done')
    ends[0]?.abort(new Error('gone'))
    await settle()
    expect(a.table.best(bob.name)).toBeUndefined()
    open(a, b)
    await settle()
    expect(a.appeared).toEqual([bob.name, bob.name])
  })

  it('takes a renewed certificate for no news of the name', async () => {
    const [a, b] = [createSide(alice), createSide(bob)]
    open(a, b)
    await settle()
    b.table.renew()
    await settle()
    expect(a.appeared).toEqual([bob.name])
  })

  it('takes so many streams of one peer', () => {
    const a = createSide(alice)
    const facts = { id: 'x', peerId: bob.peerId, direct: true, address: '', close: () => undefined }
    const taken = Array.from({ length: MAX_LINKS_PER_PEER + 3 }, () =>
      a.table.add(createStreamPair()[0], facts, 'remote'),
    )
    expect(taken.filter((link) => link !== undefined)).toHaveLength(MAX_LINKS_PER_PEER)
  })

  it('lets strangers take so many places, and gives those of idle ones to others', async () => {
    const a = createSide(alice, (name) => name === bob.name)
    const b = createSide(bob)
    open(b, a)
    await settle()
    for (let n = 0; n < MAX_STRANGER_LINKS + 5; n += 1) {
      const facts = {
        id: `s${n}`,
        peerId: `stranger ${n}`,
        direct: true,
        address: '',
        close: () => undefined,
      }
      expect(a.table.add(createStreamPair()[0], facts, 'remote')).toBeDefined()
    }
    expect(a.table.over('s0')).toBeUndefined()
    expect(a.table.over(`s${MAX_STRANGER_LINKS + 4}`)).toBeDefined()
    expect(a.table.best(bob.name)?.state).toBe('ready')
  })

  it('closes the longest idle of those who are wanted, but not kept connected', async () => {
    const a = createSide(alice, undefined, (name) => name === bob.name)
    open(a, createSide(bob))
    const others = await Promise.all(Array.from({ length: MAX_SPARE_LINKS + 1 }, createAccount))
    for (const other of others) {
      open(a, createSide(other))
      await settle()
    }
    const held = others.map(({ name }) => a.table.best(name) !== undefined)
    expect(held).toEqual([false, ...Array.from({ length: MAX_SPARE_LINKS }, () => true)])
    expect(a.table.best(bob.name)?.state).toBe('ready')
  })

  it('waits for a state, or until it is told to stop', async () => {
    const [a, b] = [createSide(alice), createSide(bob)]
    const stop = new AbortController()
    const never = expect(a.table.until(() => false, stop.signal)).rejects.toThrow('enough')
    const reached = a.table.until(() => a.table.best(bob.name) !== undefined, new AbortController().signal)
    open(a, b)
    await reached
    stop.abort(new Error('enough'))
    await never
  })
})
