import type { EventId, RoomId, ServerName } from '@plexus/core'
import { beforeEach, describe, expect, it } from 'vitest'
import { FederationError } from '../ports.ts'
import { createHeadRequests, MAX_ANSWERS, type HeadRequests } from './head-requests.ts'

const SERVER = 'a' as ServerName
const ROOM = '!room:a' as RoomId
const id = (name: string): EventId => `$${name}` as EventId

describe('requests for heads', () => {
  let asked: string[]
  let answer: () => unknown
  let timers: (() => void)[]
  let requests: HeadRequests

  beforeEach(() => {
    asked = []
    timers = []
    answer = () => {
      throw new FederationError({ status: 404, errcode: 'M_NOT_FOUND', error: 'no' })
    }
    requests = createHeadRequests({
      federation: {
        event: async (_server, event) => {
          asked.push(event)
          answer()
          return { pdus: [] }
        },
      },
      clock: { now: () => 0, after: (_ms, run) => (timers.push(run), () => undefined) },
      random: { bytes: (length) => new Uint8Array(length) },
      log: { log: () => undefined },
      rooms: () => ({ events: async (ids) => ids.map(() => undefined) }),
      receive: async () => ({}),
      holds: () => false,
    })
  })

  const pass = async (): Promise<void> => {
    for (const run of timers.splice(0)) run()
    await requests.idle()
  }

  it('ask a server again for what it did not have, a few times', async () => {
    const heads = [id('head')]
    for (let turn = 0; turn < MAX_ANSWERS; turn += 1) {
      expect(await requests.want(SERVER, ROOM, heads)).toBe(true)
      await pass()
    }
    expect(asked).toHaveLength(MAX_ANSWERS)
    // It told of what it does not give.
    expect(await requests.want(SERVER, ROOM, heads)).toBe(false)
  })

  it('ask for a head again while the server cannot be reached', async () => {
    answer = () => {
      throw new FederationError({ status: 502, errcode: 'M_UNKNOWN', error: 'busy' })
    }
    await requests.want(SERVER, ROOM, [id('head')])
    await pass()
    await pass()
    expect(asked).toHaveLength(2)
  })
})
