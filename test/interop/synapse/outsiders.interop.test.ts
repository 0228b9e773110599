/** What reaches people outside of a room of the other server, and numbers that canonical JSON has not. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { pick } from '../../kit/api-client.ts'
import { startServers, type Homeserver } from './homeserver.ts'
import { createRoom, join, listed, moderate, person, reads, say, type Person } from './person.ts'

const python = inject('synapsePython')

describe.skipIf(python === undefined)('with Synapse', () => {
  let started: Awaited<ReturnType<typeof startServers>>
  beforeAll(async () => {
    started = await startServers(['plexus', 'synapse'], python ?? '')
  })
  afterAll(() => started.stop())

  /** Waits until a sync of all lacks the invite, or a later one tells of its end. */
  const uninvited = async (who: Person, roomId: string): Promise<void> => {
    let isFirst = true
    await who.until(`the end of the invite to ${roomId}`, (sync) => {
      const isOver = isFirst
        ? pick(sync, 'rooms', 'invite', roomId) === undefined
        : pick(sync, 'rooms', 'leave', roomId) !== undefined
      isFirst = false
      return isOver ? true : undefined
    })
  }

  it.each(['plexus', 'synapse'] as const)('an invite that is withdrawn on %s is over', async (maker) => {
    const [plexus, synapse] = started.servers as [Homeserver, Homeserver]
    const [home, away] = maker === 'plexus' ? [plexus, synapse] : [synapse, plexus]
    const owner = await person(home, `owner-${maker}`)
    const guest = await person(away, `guest-${maker}`)
    const roomId = await createRoom(owner, '11', { preset: 'private_chat' })
    expect((await moderate(owner, 'invite', roomId, guest)).status).toBe(200)
    await listed(guest, 'invite', roomId)
    expect((await moderate(owner, 'kick', roomId, guest)).status).toBe(200)
    await uninvited(guest, roomId)
  })

  it.each(['1.5', '1.0', '1e30', '9007199254740993'])(
    'an event with %s in a room of version 5 keeps nothing else back',
    async (number) => {
      const [plexus, synapse] = started.servers as [Homeserver, Homeserver]
      const tag = number.replaceAll('.', '-')
      const owner = await person(synapse, `sender-${tag}`)
      const guest = await person(plexus, `reader-${tag}`)
      const roomId = await createRoom(owner, '5')
      await join(guest, roomId, [owner])
      const path = `v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/odd`
      const body = new TextEncoder().encode(`{"msgtype":"m.text","body":"odd","n":${number}}`)
      const sent = await owner.raw('PUT', path, { body, contentType: 'application/json' })
      expect(sent.status).toBe(200)
      await reads(guest, roomId, await say(owner, roomId, 'after'))
    },
  )
})
