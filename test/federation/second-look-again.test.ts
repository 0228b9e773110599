/** Rooms whose state is asked about later, where the answer comes at a bad time. */
import { createMemoryDisk, openMemoryStore } from '@plexus/store/memory'
import { describe, expect, it } from 'vitest'
import { bodies, membershipAt, say } from '../engine/rooms-kit.ts'
import { createLookedAt } from './second-look-kit.ts'

describe('a state that two members tell later', { timeout: 30_000 }, () => {
  it('counts also after a kill in the middle of deciding again', async () => {
    let kills = 0
    const disk = createMemoryDisk({
      fault: ({ writes }) => {
        const hasBegun = writes.some(
          ({ map, value }) => map === 'partial' && value?.includes('"whole"') === true,
        )
        if (!hasBegun || kills > 0) return 'none'
        kills += 1
        return 'crash-after'
      },
    })
    const kit = await createLookedAt(await openMemoryStore(disk))
    const { network, alice, bob, carol, dave, roomId } = kit
    await kit.hideBan()
    kit.away(alice, dave)
    await kit.join()
    await kit.spam()
    for (let index = 0; index < 150; index += 1) await say(bob, roomId, `m${index}`)
    kit.appear(bob, alice, dave)
    await network.pass(60_000)
    expect(kills).toBe(1)
    for (const part of [bob.completion, bob.staging, bob.outbox]) part.close()
    const again = await network.add('bob', { seed: 9, store: await openMemoryStore(disk) })
    expect(await membershipAt(again, roomId, carol.user)).toBe('join')
    await again.completion.resume()
    await network.pass(60_000)
    await kit.expectTruth(again)
    expect(await bodies(again, roomId)).toHaveLength(150)
  })
})
