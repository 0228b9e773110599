/** What was said while a node was away comes with few requests. */
import { expect, it } from 'vitest'
import { createBareNetwork } from '../kit/bare-rooms.ts'
import { bodies, bringIn, createRoom, say } from './rooms-kit.ts'

/** The last is of who said the first. */
const SAID = 41

it.each([2, 4])(
  'what %d members said in turn, of whom one alone is here, is asked for together',
  async (count) => {
    const network = createBareNetwork()
    const alice = await network.add('alice')
    const roomId = await createRoom(alice)
    const away = await network.add('away')
    const speakers = [alice]
    for (let index = 1; index < count; index += 1) speakers.push(await network.add(`speaker${index}`))
    for (const guest of [away, ...speakers.slice(1)]) await bringIn(network, alice, guest, roomId)
    network.offline.add(away.name)
    const texts = Array.from({ length: SAID }, (_, index) => String(index))
    for (const [index, text] of texts.entries()) {
      await say(speakers[index % count] ?? alice, roomId, text)
      await network.settle()
    }
    network.offline.delete(away.name)
    for (const { name } of speakers.slice(1)) network.offline.add(name)
    const before = away.calls.length
    alice.outbox.outbox.kick([away.name], true)
    await network.settle()
    expect(await bodies(away, roomId)).toEqual(texts)
    // Each of Alice's events misses some that the others made.
    const requests = away.calls.slice(before).filter((call) => !call.startsWith('send '))
    expect(requests).toEqual([`get_missing_events ${alice.name}`])
  },
)
