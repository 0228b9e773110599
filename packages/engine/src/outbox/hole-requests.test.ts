import type { EventId, RoomId, ServerName } from '@plexus/core'
import { beforeEach, describe, expect, it } from 'vitest'
import { FederationError } from '../ports.ts'
import type { RoomSnapshot } from '../rooms/types.ts'
import {
  createHoleRequests,
  FIRST_HOLE_PAUSE_MS,
  LAST_HOLE_PAUSE_MS,
  MAX_ASKED_HOLES,
  MAX_HOLE_ROUNDS,
  MAX_HOLE_SERVERS,
  type HoleRequests,
} from './hole-requests.ts'

const OWN = 'own' as ServerName
const ROOM = '!room:a' as RoomId
const id = (name: string): EventId => `$${name}` as EventId

describe('requests for holes', () => {
  let asked: string[]
  let timers: { readonly ms: number; readonly run: () => void }[]
  let room: Pick<RoomSnapshot, 'roomId' | 'holes' | 'joinedServers'>
  let requests: HoleRequests
  let fetch: (server: ServerName, event: EventId) => Promise<void>

  const look = async (): Promise<void> => {
    requests.look(room as RoomSnapshot)
    await requests.idle()
  }

  const pass = async (): Promise<void> => {
    for (const { run } of timers.splice(0)) run()
    await requests.idle()
  }

  const inRoom = (holes: number, servers: number): typeof room => ({
    roomId: ROOM,
    holes: Array.from({ length: holes }, (_, index) => id(`hole${index}`)),
    joinedServers: [OWN, ...Array.from({ length: servers }, (_, index) => `s${index}` as ServerName)],
  })

  beforeEach(() => {
    asked = []
    timers = []
    fetch = async () => undefined
    requests = createHoleRequests({
      ownName: OWN,
      clock: { now: () => 0, after: (ms, run) => (timers.push({ ms, run }), () => undefined) },
      random: { bytes: (length) => new Uint8Array(length).fill(255) },
      log: { log: () => undefined },
      snapshot: async () => room as RoomSnapshot,
      unplaced: async (_roomId, ids) => ids,
      fetch: (server, event) => {
        asked.push(`${server} ${event}`)
        return fetch(server, event)
      },
    })
  })

  it('ask a few members for a few holes at once, and others for others the next time', async () => {
    room = inRoom(3 * MAX_ASKED_HOLES, 2 * MAX_HOLE_SERVERS)
    await look()
    expect(asked).toHaveLength(MAX_HOLE_SERVERS * MAX_ASKED_HOLES)
    await pass()
    expect(new Set(asked).size).toBe(2 * MAX_HOLE_SERVERS * MAX_ASKED_HOLES)
    expect(asked.some((line) => line.startsWith(OWN))).toBe(false)
  })

  it('go on with growing pauses, and end', async () => {
    room = inRoom(1, 1)
    await look()
    const pauses: number[] = []
    for (let round = 1; round < MAX_HOLE_ROUNDS; round += 1) {
      expect(timers).toHaveLength(1)
      pauses.push(timers[0]?.ms ?? 0)
      await look()
      await pass()
    }
    expect(asked).toHaveLength(MAX_HOLE_ROUNDS)
    expect(timers).toHaveLength(0)
    expect(pauses[0]).toBeLessThanOrEqual(FIRST_HOLE_PAUSE_MS)
    expect(pauses.at(-1)).toBeGreaterThan(LAST_HOLE_PAUSE_MS / 2)
    await look()
    expect(asked).toHaveLength(MAX_HOLE_ROUNDS + 1)
  })

  it('ask the next member where one cannot be reached, and nobody once the hole is filled', async () => {
    fetch = async () => {
      throw new FederationError({ status: 502, errcode: 'M_UNKNOWN', error: 'busy' })
    }
    room = inRoom(2, 2)
    await look()
    expect(asked).toEqual(['s0 $hole0', 's1 $hole0'])
    room = inRoom(0, 2)
    await pass()
    expect(asked).toHaveLength(2)
    expect(timers).toHaveLength(0)
  })
})
