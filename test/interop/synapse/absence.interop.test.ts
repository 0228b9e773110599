/** A Plexus node and Synapse of which one is away for a while: nobody misses an event, and both end with the same state. */
import { expect, it } from 'vitest'
import { at, list, pick } from '../../kit/api-client.ts'
import { agree, createRoom, join, type Person, reads, say, setState } from './person.ts'
import { scenario } from './scenario.ts'

/** More than a transaction holds. */
const MEANWHILE = 60

/** `away` is stopped while the other goes on; then it comes back, and the other is told so by what the node itself sends. */
async function absence(away: Person, here: Person, roomId: string): Promise<void> {
  await away.home.stop()
  for (let index = 0; index < MEANWHILE; index += 1) await say(here, roomId, `meanwhile ${index}`)
  expect((await setState(here, roomId, 'm.room.topic', { topic: `without ${away.home.kind}` })).status).toBe(
    200,
  )
  await here.ok('PUT', at`v3/sendToDevice/org.example.note/${`away${roomId}`}`, {
    body: { messages: { [away.userId]: { [away.deviceId]: { index: 0 } } } },
  })
  await away.home.start()
}

scenario('absence', (room) => {
  it('loses nothing while one side is away', { timeout: 240_000 }, async () => {
    const roomId = await createRoom(room.owner, room.version, {
      initial_state: [],
      power_level_content_override: { events: { 'm.room.topic': 0 } },
    })
    await join(room.guest, roomId, [room.owner])
    for (const [away, here] of [
      [room.owner, room.guest],
      [room.guest, room.owner],
    ] as const) {
      await reads(here, roomId, await say(away, roomId, 'before'))
      await absence(away, here, roomId)
      // A Synapse that comes back says nothing until somebody there does, and is found by our next attempt.
      await reads(here, roomId, await say(away, roomId, 'after'))
      await away.until('what was sent to the device', (sync) =>
        list(sync, 'to_device', 'events').some((event) => pick(event, 'content', 'index') === 0)
          ? true
          : undefined,
      )
      await agree(away, here, roomId)
    }
  })
})
