/** What was said while a node was away comes with few requests. */
import type { EventId } from '@plexus/core'
import { expect, it } from 'vitest'
import { createBareNetwork } from '../kit/bare-rooms.ts'
import { bodies, bringIn, createRoom, make, membershipAt, say } from './rooms-kit.ts'

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

it('what a member said on what it alone has is told by its server also after it left', async () => {
  const network = createBareNetwork()
  const alice = await network.add('alice')
  const roomId = await createRoom(alice)
  const [bob, mallory] = [await network.add('bob'), await network.add('mallory')]
  for (const guest of [bob, mallory]) await bringIn(network, alice, guest, roomId)
  const { pdu } = await make(mallory, mallory, roomId, { body: 'to Bob alone' })
  for (const { name } of [alice, mallory]) network.offline.add(name)
  await bob.rooms.receive(mallory.name, [pdu])
  await say(bob, roomId, 'to all')
  await bob.rooms.leave(bob.user, roomId)
  await network.settle()
  network.offline.delete(alice.name)
  bob.outbox.outbox.kick([alice.name], true)
  await network.pass(60_000)
  expect(await bodies(alice, roomId)).toEqual(['to Bob alone', 'to all'])
  expect(await membershipAt(alice, roomId, bob.user)).toBe('leave')
  // Nobody joins by way of it.
  const carol = await network.add('carol')
  await expect(carol.rooms.join(carol.user, roomId, { via: [bob.name] })).rejects.toMatchObject({
    errcode: 'M_NOT_FOUND',
  })
  const asked = bob.rooms.stateFor(
    carol.name,
    roomId,
    (await bob.rooms.snapshot(roomId))?.heads[0] as EventId,
  )
  await expect(asked).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
})

it('what follows an event that its members refused is decided as they did', async () => {
  const network = createBareNetwork()
  const alice = await network.add('alice')
  const roomId = await createRoom(alice)
  const [bob, mallory] = [await network.add('bob'), await network.add('mallory')]
  for (const guest of [bob, mallory]) await bringIn(network, alice, guest, roomId)
  const kick = { type: 'm.room.member', stateKey: alice.user, content: { membership: 'leave' } }
  const refused = await make(mallory, mallory, roomId, kick)
  const { pdu } = await make(mallory, mallory, roomId, { prev: [refused.id], body: 'to Bob alone' })
  for (const { name } of [alice, mallory]) network.offline.add(name)
  await bob.rooms.receive(mallory.name, [refused.pdu, pdu])
  await say(bob, roomId, 'to all')
  await network.settle()
  network.offline.delete(alice.name)
  bob.outbox.outbox.kick([alice.name], true)
  await network.pass(10_000)
  expect(await bodies(alice, roomId)).toEqual(['to Bob alone', 'to all'])
  expect((await alice.rooms.event(refused.id))?.verdict).toBe('rejected')
})
