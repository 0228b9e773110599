/** What a client gets that was away while more happened than one answer to /sync may hold. */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, clientOf, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { sharedRoom } from '../kit/rooms.ts'

/** Most events of one timeline, of one page of /messages, and of one look at a timeline. */
const MAX_TIMELINE = 500

describe('after a long absence', { timeout: 60_000 }, () => {
  let network: TestNetwork
  let members: readonly Member[]
  let alice: ApiClient
  let bob: ApiClient
  let roomId: string

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob'])
    ;({ members } = network)
    const [first, second] = members as [Member, Member]
    alice = await clientOf(first)
    bob = await clientOf(second)
    roomId = await sharedRoom(network, alice, bob)
  })
  afterEach(() => network.close())

  const sync = (client: ApiClient, query: Record<string, string> = {}): Promise<JsonObject> =>
    client.ok('GET', 'v3/sync', { query: { filter: '{"room":{"timeline":{"limit":10000}}}', ...query } })

  const bodyOf = (event: JsonObject): unknown => pick(event, 'content', 'body') ?? event['type']

  /** Messages and one change of state, past the limits of the API on how fast one may speak. */
  const happen = async (count: number): Promise<unknown[]> => {
    const [{ node, user }] = members as [Member]
    const { rooms } = node.engine
    const room = roomId as Parameters<typeof rooms.send>[0]
    const events = Array.from({ length: count }, (_, index) =>
      index === 10
        ? { type: 'm.room.topic', stateKey: '', content: { topic: 'changed' } }
        : { type: 'm.room.message', content: { msgtype: 'm.text', body: `m${index}` } },
    )
    await Promise.all(events.map((event) => rooms.send(room, { ...event, sender: user })))
    await network.settle()
    return events.map(bodyOf)
  }

  /** All events between two places, in their order. */
  const pages = async (client: ApiClient, from: string, to: string): Promise<unknown[]> => {
    const found: unknown[] = []
    let next: string | undefined = from
    while (next !== undefined) {
      const query: Record<string, string> = { dir: 'b', from: next, to, limit: '50' }
      const page: JsonObject = await client.ok('GET', at`v3/rooms/${roomId}/messages`, { query })
      found.push(...list(page, 'chunk').map(bodyOf))
      next = page['end'] as string | undefined
    }
    return found.toReversed()
  }

  it.each(['the node that the events are of', 'another node'])(
    'a client of %s gets the newest events, and all others by the token',
    async (which) => {
      const client = which === 'another node' ? bob : alice
      const since = text(await sync(client), 'next_batch')
      const said = await happen(MAX_TIMELINE + 120)
      const answer = await sync(client, { since })
      const room = pick(answer, 'rooms', 'join', roomId)
      const newest = list(room, 'timeline', 'events').map(bodyOf)
      expect(newest).toEqual(said.slice(-MAX_TIMELINE))
      expect(pick(room, 'timeline', 'limited')).toBe(true)
      expect(list(room, 'state', 'events').map(({ type }) => type)).toEqual(['m.room.topic'])
      const older = await pages(client, text(room, 'timeline', 'prev_batch'), since)
      expect([...older, ...newest]).toEqual(said)
      const after = await sync(client, { since: text(answer, 'next_batch') })
      expect(pick(after, 'rooms', 'join')).toEqual({})
    },
  )

  it('exactly as many events as one answer holds leave no gap', async () => {
    const since = text(await sync(alice), 'next_batch')
    const said = await happen(MAX_TIMELINE)
    const room = pick(await sync(alice, { since }), 'rooms', 'join', roomId)
    expect(list(room, 'timeline', 'events').map(bodyOf)).toEqual(said)
    expect(pick(room, 'timeline', 'limited')).toBe(false)
    expect(list(room, 'state', 'events')).toEqual([])
  })
})
