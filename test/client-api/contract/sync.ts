/** spec: client-server-api "Syncing", modules/search.md, report_content.md, push.md "Listing Notifications" */
import { describe, expect, it } from 'vitest'
import { at, list, pick, text } from '../../kit/api-client.ts'
import { say } from '../../kit/rooms.ts'
import { alice, bob, carol, messageId, network, nobody, roomId, UNKNOWN_EVENT } from './world.ts'

export function sync(): void {
  describe('syncing', () => {
    it('GET sync begins with everything, and goes on with what is new', async () => {
      const first = await bob.ok('GET', 'v3/sync')
      expect(pick(first, 'rooms', 'join', roomId)).toBeDefined()
      const since = text(first, 'next_batch')
      await say(alice, roomId, 'new')
      await network.settle()
      const next = await bob.ok('GET', 'v3/sync', { query: { since } })
      const timeline = list(next, 'rooms', 'join', roomId, 'timeline', 'events')
      expect(timeline.map((event) => pick(event, 'content', 'body'))).toEqual(['new'])
      expect(await bob.fails('GET', 'v3/sync', { query: { since: 'x' } })).toEqual([400, 'M_INVALID_PARAM'])
      expect(await bob.fails('GET', 'v3/sync', { query: { filter: '{' } })).toEqual([400, 'M_INVALID_PARAM'])
    })

    it('GET initialSync, events and events/{eventId}, of clients from before', async () => {
      const all = await bob.ok('GET', 'v3/initialSync', { query: { limit: '2' } })
      expect(list(all, 'rooms').map(({ room_id }) => room_id)).toContain(roomId)
      expect(await bob.fails('GET', 'v3/initialSync', { query: { limit: 'x' } })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
      const eventId = await say(alice, roomId, 'news')
      await network.settle()
      const news = await bob.ok('GET', 'v3/events', { query: { from: text(all, 'end') } })
      expect(list(news, 'chunk').map(({ event_id }) => event_id)).toEqual([eventId])
      expect(await bob.fails('GET', 'v3/events', { query: { from: 'x' } })).toEqual([400, 'M_INVALID_PARAM'])
      expect(await carol.fails('GET', 'v3/events', { query: { room_id: roomId } })).toEqual([
        403,
        'M_FORBIDDEN',
      ])
      expect(await bob.ok('GET', at`v3/events/${eventId}`)).toMatchObject({ event_id: eventId })
      expect(await carol.fails('GET', at`v3/events/${eventId}`)).toEqual([404, 'M_NOT_FOUND'])
    })

    it('GET notifications', async () => {
      await say(alice, roomId, 'heard')
      await network.settle()
      const [newest] = list(
        await bob.ok('GET', 'v3/notifications', { query: { limit: '1' } }),
        'notifications',
      )
      expect(newest).toMatchObject({ room_id: roomId, event: { content: { body: 'heard' } } })
      expect(await bob.fails('GET', 'v3/notifications', { query: { from: 'x' } })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
    })

    it('POST search', async () => {
      const eventId = await say(alice, roomId, 'a needle in hay')
      const criteria = {
        search_term: 'needle',
        event_context: { before_limit: 1, after_limit: 1, include_profile: true },
        include_state: true,
        groupings: { group_by: [{ key: 'room_id' }, { key: 'sender' }] },
      }
      const body = { search_categories: { room_events: criteria } }
      const found = pick(await alice.ok('POST', 'v3/search', { body }), 'search_categories', 'room_events')
      expect(list(found, 'results').map((one) => pick(one, 'result', 'event_id'))).toEqual([eventId])
      expect(list(found, 'state', roomId).map(({ type }) => type)).toContain('m.room.create')
      expect(await alice.fails('POST', 'v3/search', { body: {} })).toEqual([400, 'M_MISSING_PARAM'])
    })
  })

  describe('reports', () => {
    it.each([
      ['a room', () => at`v3/rooms/${roomId}/report`],
      ['an event', () => at`v3/rooms/${roomId}/report/${messageId}`],
      ['a user', () => at`v3/users/${bob.userId}/report`],
    ])('POST report of %s', async (_what, path) => {
      expect(await alice.ok('POST', path(), { body: { reason: 'rude' } })).toEqual({})
      expect(await nobody.fails('POST', path(), { body: { reason: 'rude' } })).toEqual([
        401,
        'M_MISSING_TOKEN',
      ])
      expect((await alice.fails('POST', path(), { body: { reason: 7 } }))[0]).toBe(400)
    })

    it('POST report of an event that is not there', async () => {
      const path = at`v3/rooms/${roomId}/report/${UNKNOWN_EVENT}`
      expect(await alice.fails('POST', path, { body: {} })).toEqual([404, 'M_NOT_FOUND'])
    })
  })
}
