/** Three nodes on lines that lose, repeat and delay, with restarts: nothing acknowledged is lost or doubled. */
import type { RoomId } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { createSeededRandom, type SeededRandom } from '../kit/seeded-random.ts'
import { bringIn, createRoom, read, say, stateOf } from './room.ts'

const MESSAGES = 30

type Faults = { lost: number; repeated: number; delayed: number; restarts: number }

function breakLines(network: TestNetwork, random: SeededRandom, faults: Faults): void {
  network.loopback.decideFate(() => {
    const lot = random.below(8)
    if (lot === 0 || lot === 1) {
      faults.lost += 1
      return { lose: lot === 0 ? 'request' : 'answer' }
    }
    if (lot === 2) {
      faults.repeated += 1
      return { twice: true }
    }
    if (lot > 4) return {}
    faults.delayed += 1
    return { delayMs: random.below(4_000) }
  })
}

async function write(
  network: TestNetwork,
  random: SeededRandom,
  roomId: RoomId,
  faults: Faults,
): Promise<string[]> {
  const written: string[] = []
  for (let index = 0; index < MESSAGES; index += 1) {
    const author = network.members[random.below(network.members.length)] as Member
    await say(author, roomId, `${index}`)
    written.push(`${index}`)
    if (random.chance(0.5)) await network.clock.advance(random.below(2_000))
    if (random.chance(0.1)) {
      faults.restarts += 1
      await network.restart(network.members[random.below(network.members.length)] as Member)
    }
  }
  return written
}

describe('three nodes on bad lines', { timeout: 60_000 }, () => {
  it.each([1, 2, 3, 4, 5, 6])('agree in the end (seed %i)', async (seed) => {
    const random = createSeededRandom(seed)
    const faults: Faults = { lost: 0, repeated: 0, delayed: 0, restarts: 0 }
    const network = await createTestNetwork(['alice', 'bob', 'carol'], seed * 10)
    const [alice, bob, carol] = network.members as [Member, Member, Member]
    const roomId = await createRoom(alice)
    await bringIn(alice, bob, roomId)
    await bringIn(alice, carol, roomId)
    await network.settle()

    breakLines(network, random, faults)
    const written = await write(network, random, roomId, faults)
    const apart = new Set(
      await Promise.all(network.members.map(async (member) => (await read(member, roomId)).join())),
    )
    network.loopback.decideFate(() => ({}))
    await network.pass(60_000)

    const last = network.members[0] as Member
    await say(last, roomId, 'last')
    await network.settle()
    const expected = [...written, 'last'].toSorted()
    for (const member of network.members) {
      expect((await read(member, roomId)).toSorted()).toEqual(expected)
      expect(await stateOf(member, roomId)).toEqual(await stateOf(last, roomId))
    }
    // A run in which nothing went wrong and nobody differed proves nothing.
    expect(apart.size).toBeGreaterThan(1)
    expect(Math.min(faults.lost, faults.repeated, faults.delayed)).toBeGreaterThan(0)
    await network.close()
  })
})
