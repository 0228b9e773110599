/** What is said in a room of a Plexus node and Synapse: messages, redaction, history, and the room that takes its place. */
import { expect, it } from 'vitest'
import { at, pick, text } from '../../kit/api-client.ts'
import { agree, createRoom, join, type Person, reads, say, timelineOf } from './person.ts'
import { scenario } from './scenario.ts'

const MANY = 500
/** Not more than the previous events that the next one can name. */
const AT_ONCE = 8

const textsOf = async (who: Person, roomId: string): Promise<readonly unknown[]> =>
  (await timelineOf(who, roomId))
    .filter(({ type }) => type === 'm.room.message')
    .map((event) => pick(event, 'content', 'body'))
    .toReversed()

scenario('timelines', (room) => {
  it('shows both sides what either says, and takes away what is redacted', async () => {
    const roomId = await createRoom(room.owner, room.version)
    await join(room.guest, roomId, [room.owner])
    const [first, second] = [await say(room.owner, roomId, 'one'), await say(room.guest, roomId, 'two')]
    await reads(room.guest, roomId, first)
    await reads(room.owner, roomId, second)
    await room.owner.ok('PUT', at`v3/rooms/${roomId}/redact/${second}/r1`, { body: { reason: 'no' } })
    await room.guest.ok('PUT', at`v3/rooms/${roomId}/redact/${await say(room.guest, roomId, 'three')}/r2`, {
      body: {},
    })
    for (const who of [room.owner, room.guest])
      await who.until('the redactions', async () => {
        const texts = await textsOf(who, roomId)
        return texts.length === 3 &&
          texts.includes('one') &&
          texts.filter((each) => each === undefined).length === 2
          ? true
          : undefined
      })
    await agree(room.owner, room.guest, roomId)
  })

  it(`pages back through ${MANY} events of before the join`, { timeout: 300_000 }, async () => {
    const roomId = await createRoom(room.owner, room.version)
    const said = Array.from({ length: MANY }, (_, index) => `message ${index}`)
    // In forks, as they come about, and together again at the end.
    for (let from = 1; from < MANY; from += AT_ONCE)
      await Promise.all(said.slice(from, from + AT_ONCE).map((body) => say(room.owner, roomId, body)))
    await say(room.owner, roomId, 'message 0')
    await join(room.guest, roomId, [room.owner])
    const read = await textsOf(room.guest, roomId)
    expect(read).toHaveLength(MANY)
    expect(new Set(read)).toEqual(new Set(said))
    await agree(room.owner, room.guest, roomId)
  })

  it('leads both sides from a room to the one that replaces it', async () => {
    const roomId = await createRoom(room.owner, room.version, { name: 'Kitchen' })
    await join(room.guest, roomId, [room.owner])
    const upgrade = await room.owner.ok('POST', at`v3/rooms/${roomId}/upgrade`, {
      body: { new_version: '12' },
    })
    const next = text(upgrade, 'replacement_room')
    await room.guest.until('the tombstone', async () => {
      const { body } = await room.guest.ask('GET', at`v3/rooms/${roomId}/state/m.room.tombstone/`)
      return body['replacement_room'] === next ? true : undefined
    })
    await join(room.guest, next, [room.owner])
    const create = await room.guest.ok('GET', at`v3/rooms/${next}/state/m.room.create/`)
    expect(pick(create, 'predecessor', 'room_id')).toBe(roomId)
    await agree(room.owner, room.guest, roomId)
    await agree(room.owner, room.guest, next)
  })
})
