import type { JsonObject, JsonValue } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { at, list, pick, text, type Answer, type ApiClient } from '../../kit/api-client.ts'
import { say, sharedRoom, transaction } from '../../kit/rooms.ts'
import { alice, bob, carol, network, roomId, messageId, ownRoom, UNKNOWN_EVENT } from './world.ts'

export function reading(): void {
  describe('reading', () => {
    it('GET state, state/{type}, members, joined_members', async () => {
      expect(await alice.ok('GET', at`v3/rooms/${roomId}/state/m.room.name`)).toEqual({ name: 'Kitchen' })
      const event = await alice.ok('GET', at`v3/rooms/${roomId}/state/m.room.name`, {
        query: { format: 'event' },
      })
      expect(event).toMatchObject({ type: 'm.room.name', room_id: roomId, sender: alice.userId })
      const { body } = await alice.ask('GET', at`v3/rooms/${roomId}/state`)
      expect(list(body).map(({ type }) => type)).toContain('m.room.create')
      const members = await alice.ok('GET', at`v3/rooms/${roomId}/members`)
      expect(list(members, 'chunk')).toHaveLength(2)
      expect(await alice.ok('GET', at`v3/rooms/${roomId}/members`, { query: { membership: 'ban' } })).toEqual(
        {
          chunk: [],
        },
      )
      const joined = await alice.ok('GET', at`v3/rooms/${roomId}/members`, {
        query: { not_membership: 'leave' },
      })
      expect(list(joined, 'chunk')).toHaveLength(2)
      const profiles = await alice.ok('GET', at`v3/rooms/${roomId}/joined_members`)
      expect(Object.keys(profiles['joined'] as JsonObject).toSorted()).toEqual(
        [alice.userId, bob.userId].toSorted(),
      )
    })

    it('GET initialSync', async () => {
      const id = await ownRoom()
      for (const body of ['one', 'two', 'three']) await say(alice, id, body)
      const answer = await alice.ok('GET', at`v3/rooms/${id}/initialSync`, { query: { limit: '2' } })
      expect(answer).toMatchObject({ room_id: id, membership: 'join', visibility: 'private' })
      const messages = answer['messages'] as JsonObject
      expect(list(messages, 'chunk').map((event) => pick(event, 'content', 'body'))).toEqual(['two', 'three'])
      expect(list(answer, 'state').map(({ type }) => type)).toContain('m.room.create')
      const query = { dir: 'b', from: text(messages, 'start'), limit: '1' }
      const before = await alice.ok('GET', at`v3/rooms/${id}/messages`, { query })
      expect(pick(list(before, 'chunk')[0], 'content', 'body')).toBe('one')
    })

    it.each([
      'state',
      'state/m.room.name',
      'members',
      'joined_members',
      'messages?dir=b',
      'aliases',
      'initialSync',
    ])('GET %s is refused to strangers', async (path) => {
      expect(await carol.fails('GET', `${at`v3/rooms/${roomId}`}/${path}`)).toEqual([403, 'M_FORBIDDEN'])
    })

    it('GET state/{type} of what is not there', async () => {
      expect(await alice.fails('GET', at`v3/rooms/${roomId}/state/org.none`)).toEqual([404, 'M_NOT_FOUND'])
      expect(await carol.fails('GET', at`v3/rooms/${roomId}/state/org.none/key`)).toEqual([
        403,
        'M_FORBIDDEN',
      ])
    })

    it('GET members of an earlier time', async () => {
      const id = await ownRoom()
      const before = await alice.ok('GET', 'v3/sync')
      await alice.ok('POST', at`v3/rooms/${id}/invite`, { body: { user_id: carol.userId } })
      // The timeline has the whole room, so that nothing was before it: a room begins with its creator.
      const start = text(before, 'rooms', 'join', id, 'timeline', 'prev_batch')
      for (const token of [text(before, 'next_batch'), start]) {
        const query = { at: token }
        expect(list(await alice.ok('GET', at`v3/rooms/${id}/members`, { query }), 'chunk')).toHaveLength(1)
      }
      expect(list(await alice.ok('GET', at`v3/rooms/${id}/members`), 'chunk')).toHaveLength(2)
      expect(await alice.fails('GET', at`v3/rooms/${id}/members`, { query: { at: 'x' } })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
    })

    it('GET messages pages through the whole room both ways', async () => {
      const id = await ownRoom()
      for (let index = 0; index < 7; index += 1) await say(alice, id, `m${index}`)
      const collect = async (dir: string): Promise<unknown[]> => {
        const found: unknown[] = []
        let from: string | undefined
        for (;;) {
          const page = await alice.ok('GET', at`v3/rooms/${id}/messages`, {
            query: { dir, limit: '4', ...(from === undefined ? {} : { from }) },
          })
          found.push(...list(page, 'chunk').map(({ event_id: eventId }) => eventId))
          if (page['end'] === undefined) return found
          from = text(page, 'end')
        }
      }
      const forwards = await collect('f')
      expect(forwards).toHaveLength(13)
      expect(await collect('b')).toEqual(forwards.toReversed())
    })

    it('GET messages goes on from where a page began, which is where the room was at then', async () => {
      const id = await ownRoom()
      const page = (query: Record<string, string>): Promise<JsonObject> =>
        alice.ok('GET', at`v3/rooms/${id}/messages`, { query })
      const from = text(await page({ dir: 'b', limit: '2' }), 'start')
      const later = await say(alice, id, 'later')
      const ids = (answer: JsonObject): unknown[] => list(answer, 'chunk').map((event) => event['event_id'])
      expect(ids(await page({ dir: 'f', from }))).toEqual([later])
      expect(ids(await page({ dir: 'b', from }))).not.toContain(later)
      const start = text(await page({ dir: 'f', limit: '1' }), 'start')
      expect(ids(await page({ dir: 'f', from: start })).at(-1)).toBe(later)
    })

    it('GET messages filters, and brings the members of its senders', async () => {
      const filter = JSON.stringify({ types: ['m.room.mess*'], lazy_load_members: true, limit: 2 })
      const page = await alice.ok('GET', at`v3/rooms/${roomId}/messages`, { query: { dir: 'b', filter } })
      expect(list(page, 'chunk').map(({ type }) => type)).toEqual(['m.room.message', 'm.room.message'])
      expect(list(page, 'state').map((event) => event['state_key'])).toEqual([alice.userId])
      const query = { dir: 'b', filter: '{"types":1}' }
      expect(await alice.fails('GET', at`v3/rooms/${roomId}/messages`, { query })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
      expect(await alice.fails('GET', at`v3/rooms/${roomId}/messages`)).toEqual([400, 'M_MISSING_PARAM'])
      expect(
        await alice.fails('GET', at`v3/rooms/${roomId}/messages`, { query: { dir: 'b', from: 'x' } }),
      ).toEqual([400, 'M_INVALID_PARAM'])
    })

    it('GET event and context', async () => {
      const event = await bob.ok('GET', at`v3/rooms/${roomId}/event/${messageId}`)
      expect(event).toMatchObject({ event_id: messageId, room_id: roomId, content: { body: 'hello' } })
      const context = await alice.ok('GET', at`v3/rooms/${roomId}/context/${messageId}`, {
        query: { limit: '4' },
      })
      expect(pick(context, 'event', 'event_id')).toBe(messageId)
      expect(list(context, 'events_before').length).toBe(2)
      expect(list(context, 'state').map(({ type }) => type)).toContain('m.room.create')
      for (const kind of ['event', 'context']) {
        expect(await bob.fails('GET', at`v3/rooms/${roomId}/${kind}/${UNKNOWN_EVENT}`)).toEqual([
          404,
          'M_NOT_FOUND',
        ])
      }
      // The event is of another room.
      const id = await ownRoom()
      expect(await alice.fails('GET', at`v3/rooms/${id}/event/${messageId}`)).toEqual([404, 'M_NOT_FOUND'])
    })

    it('GET relations, by type of relation and event', async () => {
      const parent = await say(alice, roomId, 'parent')
      const react = (key: string): Promise<JsonObject> =>
        alice.ok('PUT', at`v3/rooms/${roomId}/send/m.reaction/${transaction()}`, {
          body: { 'm.relates_to': { rel_type: 'm.annotation', event_id: parent, key } },
        })
      const [one, two] = [await react('+'), await react('-')]
      const path = at`v1/rooms/${roomId}/relations/${parent}`
      const all = await alice.ok('GET', path)
      expect(list(all, 'chunk').map((event) => event['event_id'])).toEqual([two['event_id'], one['event_id']])
      const first = await alice.ok('GET', `${path}/m.annotation/m.reaction`, {
        query: { limit: '1', dir: 'f' },
      })
      expect(list(first, 'chunk').map((event) => event['event_id'])).toEqual([one['event_id']])
      const query = { limit: '1', dir: 'f', from: text(first, 'next_batch') }
      const second = await alice.ok('GET', `${path}/m.annotation`, { query })
      expect(list(second, 'chunk').map((event) => event['event_id'])).toEqual([two['event_id']])
      expect(await alice.ok('GET', `${path}/m.thread`)).toEqual({ chunk: [] })
      for (const rest of ['', '/m.annotation', '/m.annotation/m.reaction']) {
        const unknown = at`v1/rooms/${roomId}/relations/${UNKNOWN_EVENT}`
        expect(await alice.fails('GET', unknown + rest)).toEqual([404, 'M_NOT_FOUND'])
      }
    })

    it('GET timestamp_to_event', async () => {
      const id = await ownRoom()
      await network.clock.advance(1_000)
      const eventId = await say(alice, id, 'later')
      const now = network.clock.now()
      const find = (ts: number, dir: string): Promise<JsonObject> =>
        alice.ok('GET', at`v1/rooms/${id}/timestamp_to_event`, { query: { ts: String(ts), dir } })
      expect(await find(now - 500, 'f')).toEqual({ event_id: eventId, origin_server_ts: now })
      expect((await find(now - 500, 'b'))['event_id']).not.toBe(eventId)
      expect(
        await alice.fails('GET', at`v1/rooms/${id}/timestamp_to_event`, {
          query: { ts: String(now + 1), dir: 'f' },
        }),
      ).toEqual([404, 'M_NOT_FOUND'])
    })
  })

  describe('aggregations and threads', () => {
    const relate = async (
      client: ApiClient,
      id: string,
      relation: JsonObject,
      content: JsonObject = {},
    ): Promise<string> => {
      const path = at`v3/rooms/${id}/send/m.room.message/${transaction()}`
      const body = { msgtype: 'm.text', body: 'related', ...content, 'm.relates_to': relation }
      return text(await client.ok('PUT', path, { body }), 'event_id')
    }
    const relationsOf = async (id: string, eventId: string): Promise<JsonValue | undefined> =>
      pick(await alice.ok('GET', at`v3/rooms/${id}/event/${eventId}`), 'unsigned', 'm.relations')

    it('bundle the newest valid edit', async () => {
      const original = await say(alice, roomId, 'tpyo')
      await network.settle()
      const edit = { rel_type: 'm.replace', event_id: original }
      await relate(alice, roomId, edit, { 'm.new_content': { body: 'first' } })
      await network.clock.advance(1)
      const last = await relate(alice, roomId, edit, { 'm.new_content': { body: 'typo' } })
      await relate(alice, roomId, edit)
      await relate(bob, roomId, edit, { 'm.new_content': { body: 'of somebody else' } })
      await network.settle()
      expect(pick(await relationsOf(roomId, original), 'm.replace', 'event_id')).toBe(last)
      await alice.ok('PUT', at`v3/rooms/${roomId}/redact/${last}/${transaction()}`, { body: {} })
      expect(pick(await relationsOf(roomId, original), 'm.replace', 'content', 'm.new_content', 'body')).toBe(
        'first',
      )
      expect(await relationsOf(roomId, last)).toBeUndefined()
    })

    it('bundle references and threads, in pages and contexts too', async () => {
      const root = await say(alice, roomId, 'root')
      await network.settle()
      const reference = await relate(alice, roomId, { rel_type: 'm.reference', event_id: root })
      await relate(bob, roomId, { rel_type: 'm.thread', event_id: root })
      await network.settle()
      const latest = await relate(alice, roomId, { rel_type: 'm.thread', event_id: root })
      await network.settle()
      const bundle = await relationsOf(roomId, root)
      expect(bundle).toMatchObject({
        'm.reference': { chunk: [{ event_id: reference }] },
        'm.thread': {
          count: 2,
          current_user_participated: true,
          latest_event: { event_id: latest, room_id: roomId },
        },
      })
      const page = await alice.ok('GET', at`v3/rooms/${roomId}/messages`, {
        query: { dir: 'b', limit: '50' },
      })
      const paged = list(page, 'chunk').find((event) => event['event_id'] === root)
      expect(pick(paged, 'unsigned', 'm.relations', 'm.thread', 'count')).toBe(2)
      const context = await bob.ok('GET', at`v3/rooms/${roomId}/context/${latest}`, {
        query: { limit: '20' },
      })
      const before = list(context, 'events_before').find((event) => event['event_id'] === root)
      expect(pick(before, 'unsigned', 'm.relations', 'm.thread', 'count')).toBe(2)
    })

    it('refuse a second annotation with the same key, and a thread inside of a relation', async () => {
      const parent = await say(alice, roomId, 'parent')
      const react = (key: string, txnId = transaction()): Promise<Answer> =>
        alice.ask('PUT', at`v3/rooms/${roomId}/send/m.reaction/${txnId}`, {
          body: { 'm.relates_to': { rel_type: 'm.annotation', event_id: parent, key } },
        })
      const { body } = await react('+', 'retried')
      expect((await react('+', 'retried')).body).toEqual(body)
      expect((await react('-')).status).toBe(200)
      expect((await react('+')).body['errcode']).toBe('M_DUPLICATE_ANNOTATION')
      const reaction = text(body, 'event_id')
      const path = at`v3/rooms/${roomId}/send/m.room.message/${transaction()}`
      const inside = { 'm.relates_to': { rel_type: 'm.thread', event_id: reaction } }
      expect(await alice.fails('PUT', path, { body: inside })).toEqual([400, 'M_UNKNOWN'])
      await alice.ok('PUT', at`v3/rooms/${roomId}/redact/${reaction}/${transaction()}`, { body: {} })
      expect((await react('+')).status).toBe(200)
    })

    it('GET threads, those with the latest answer first, page by page', async () => {
      const id = await sharedRoom(network, alice, bob, { name: 'Threads' })
      const [one, two, three] = [
        await say(alice, id, '1'),
        await say(alice, id, '2'),
        await say(alice, id, '3'),
      ]
      await network.settle()
      for (const root of [one, two, one]) await relate(alice, id, { rel_type: 'm.thread', event_id: root })
      await network.settle()
      await relate(bob, id, { rel_type: 'm.thread', event_id: three })
      await network.settle()
      const idsOf = (answer: JsonObject): unknown[] => list(answer, 'chunk').map((event) => event['event_id'])
      const path = at`v1/rooms/${id}/threads`
      const all = await bob.ok('GET', path)
      expect(idsOf(all)).toEqual([three, one, two])
      expect(pick(list(all, 'chunk')[1], 'unsigned', 'm.relations', 'm.thread', 'count')).toBe(2)
      const first = await bob.ok('GET', path, { query: { limit: '2' } })
      expect(idsOf(first)).toEqual([three, one])
      const second = await bob.ok('GET', path, { query: { limit: '2', from: text(first, 'next_batch') } })
      expect(idsOf(second)).toEqual([two])
      expect(idsOf(await bob.ok('GET', path, { query: { include: 'participated' } }))).toEqual([three])
      expect(await bob.fails('GET', path, { query: { from: 'x' } })).toEqual([400, 'M_INVALID_PARAM'])
      expect(await carol.fails('GET', path)).toEqual([403, 'M_FORBIDDEN'])
    })
  })
}
