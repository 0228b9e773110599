import { describe, expect, it } from 'vitest'
import type { LinkTable } from './link-table.ts'
import type { Link } from './link.ts'
import { createVirtualClock } from './testing/virtual-clock.ts'
import { createUpgrader } from './upgrader.ts'

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const AT = 'relay/p2p-circuit/p2p/b'

/** An upgrader of the node `own`, and a stream over a relay to the node `b`. */
function start(own = 'a') {
  const clock = createVirtualClock()
  const state = { tries: 0, isDirect: false, works: false, link: 'ready' }
  const link = {
    peerId: 'b',
    get state() {
      return state.link
    },
  } as unknown as Link
  const upgrader = createUpgrader({
    clock,
    random: { bytes: (length) => new Uint8Array(length).fill(255) },
    table: { bestOf: () => ({ direct: state.isDirect }) } as unknown as LinkTable,
    ownPeerId: own,
    upgrade() {
      state.tries += 1
      return Promise.resolve(state.works)
    },
  })
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms)
    await settle()
  }
  const relayed = async (): Promise<void> => {
    upgrader.relayed(link, AT)
    await settle()
  }
  return { upgrader, state, relayed, pass }
}

describe('a stream over a relay', () => {
  it('is replaced at once by the lower peer id, and by the higher one if the other did not', async () => {
    const lower = start()
    await lower.relayed()
    expect(lower.state.tries).toBe(1)
    const higher = start('c')
    await higher.relayed()
    expect(higher.state.tries).toBe(0)
    await higher.pass(3_000)
    expect(higher.state.tries).toBe(1)
    const late = start('c')
    await late.relayed()
    late.state.isDirect = true
    await late.pass(3_000)
    expect(late.state.tries).toBe(0)
  })

  it('is tried ever more seldom, and no more once it worked', async () => {
    const { state, relayed, pass } = start()
    await relayed()
    for (let minute = 0; minute < 60; minute += 1) await pass(60_000)
    expect(state.tries).toBeGreaterThan(10)
    expect(state.tries).toBeLessThan(20)
    state.works = true
    await pass(300_000)
    const tries = state.tries
    await pass(3_600_000)
    expect(state.tries).toBe(tries)
  })

  it('is tried at once when its peer tells more addresses, once at a time', async () => {
    const { state, relayed } = start()
    await relayed()
    await relayed()
    expect(state.tries).toBe(2)
  })

  it('is left alone when it is closed, or the node stops', async () => {
    const closed = start()
    await closed.relayed()
    closed.state.link = 'closed'
    await closed.pass(3_600_000)
    expect(closed.state.tries).toBe(1)
    const stopped = start()
    await stopped.relayed()
    stopped.upgrader[Symbol.dispose]()
    await stopped.pass(3_600_000)
    expect(stopped.state.tries).toBe(1)
  })
})
