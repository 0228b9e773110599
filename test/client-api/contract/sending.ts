import type { JsonObject } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { at, pick, text, type ApiClient } from '../../kit/api-client.ts'
import { say, transaction } from '../../kit/rooms.ts'
import { alice, bob, carol, network, roomId, messageId, UNKNOWN_EVENT } from './world.ts'

export function sending(): void {
  describe('sending', () => {
    it('PUT send makes one event of one transaction', async () => {
      const one = await say(alice, roomId, 'twice', 'same')
      expect(await say(alice, roomId, 'twice', 'same')).toBe(one)
      expect(await say(alice, roomId, 'twice', transaction())).not.toBe(one)
    })

    it('PUT send refuses strangers, floats and what is too large', async () => {
      const send = (client: ApiClient, body: JsonObject): Promise<readonly [number, string]> =>
        client.fails('PUT', at`v3/rooms/${roomId}/send/m.room.message/${transaction()}`, { body })
      expect(await send(carol, {})).toEqual([404, 'M_NOT_FOUND'])
      expect(await send(alice, { a: 1.5 })).toEqual([400, 'M_BAD_JSON'])
      expect(await send(alice, { a: 'x'.repeat(70_000) })).toEqual([413, 'M_TOO_LARGE'])
      expect(
        await alice.fails('PUT', at`v3/rooms/${roomId}/send/${'t'.repeat(300)}/1`, { body: {} }),
      ).toEqual([400, 'M_INVALID_PARAM'])
    })

    it('PUT redact empties an event, and only who may', async () => {
      const eventId = await say(alice, roomId, 'oops')
      await network.settle()
      const path = at`v3/rooms/${roomId}/redact/${eventId}/${transaction()}`
      const { event_id: redaction } = await alice.ok('PUT', path, { body: { reason: 'typo' } })
      const event = await alice.ok('GET', at`v3/rooms/${roomId}/event/${eventId}`)
      expect(event['content']).toEqual({})
      expect(pick(event, 'unsigned', 'redacted_because', 'event_id')).toBe(redaction)
      expect(await carol.fails('PUT', path, { body: {} })).toEqual([404, 'M_NOT_FOUND'])
      const asMessage = at`v3/rooms/${roomId}/send/m.room.redaction/${transaction()}`
      expect(await alice.fails('PUT', asMessage, { body: {} })).toEqual([400, 'M_BAD_JSON'])
      await alice.ok('PUT', asMessage, { body: { redacts: eventId } })
    })

    it('POST send and redact make an event at each request', async () => {
      const post = async (path: string, body: JsonObject): Promise<string> =>
        text(await alice.ok('POST', path, { body }), 'event_id')
      const path = at`v3/rooms/${roomId}/send/m.room.message`
      const body = { msgtype: 'm.text', body: 'again' }
      const eventId = await post(path, body)
      expect(await post(path, body)).not.toBe(eventId)
      expect(await alice.fails('POST', path, { body: { a: 1.5 } })).toEqual([400, 'M_BAD_JSON'])
      const redaction = await post(at`v3/rooms/${roomId}/redact/${eventId}`, {})
      const event = await alice.ok('GET', at`v3/rooms/${roomId}/event/${eventId}`)
      expect(event).toMatchObject({ content: {}, unsigned: { redacted_by: redaction } })
      expect(pick(event, 'unsigned', 'transaction_id')).toBeUndefined()
    })

    it('PUT state changes the state, with and without a key', async () => {
      await alice.ok('PUT', at`v3/rooms/${roomId}/state/org.test`, { body: { a: 1 } })
      await alice.ok('PUT', at`v3/rooms/${roomId}/state/org.test/key`, { body: { a: 2 } })
      expect(await alice.ok('GET', at`v3/rooms/${roomId}/state/org.test/`)).toEqual({ a: 1 })
      expect(await alice.ok('GET', at`v3/rooms/${roomId}/state/org.test/key`)).toEqual({ a: 2 })
      expect(
        await bob.fails('PUT', at`v3/rooms/${roomId}/state/m.room.name`, { body: { name: 'Mine' } }),
      ).toEqual([403, 'M_FORBIDDEN'])
    })

    it('PUT state makes no second create event', async () => {
      const path = at`v3/rooms/${roomId}/state/m.room.create/`
      expect(await alice.fails('PUT', path, { body: { room_version: '12' } })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
    })

    it('PUT state looks at the aliases of a canonical alias', async () => {
      const path = at`v3/rooms/${roomId}/state/m.room.canonical_alias`
      const server = alice.userId.slice(alice.userId.indexOf(':') + 1)
      expect(await alice.fails('PUT', path, { body: { alias: 'nonsense' } })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
      expect(await alice.fails('PUT', path, { body: { alias: `#nowhere:${server}` } })).toEqual([
        400,
        'M_BAD_ALIAS',
      ])
    })
  })

  describe('receipts, markers, typing', () => {
    it('POST receipt and read_markers', async () => {
      await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${messageId}`, { body: {} })
      await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.fully_read/${messageId}`, { body: {} })
      await bob.ok('POST', at`v3/rooms/${roomId}/read_markers`, { body: { 'm.fully_read': messageId } })
      const fails = (client: ApiClient, type: string, body: JsonObject): Promise<readonly [number, string]> =>
        client.fails('POST', at`v3/rooms/${roomId}/receipt/${type}/${messageId}`, { body })
      expect(await fails(carol, 'm.read', {})).toEqual([403, 'M_FORBIDDEN'])
      expect(await fails(bob, 'm.other', {})).toEqual([400, 'M_INVALID_PARAM'])
      expect(await fails(bob, 'm.read', { thread_id: 1 })).toEqual([400, 'M_INVALID_PARAM'])
      expect(await fails(bob, 'm.read', { thread_id: '' })).toEqual([400, 'M_INVALID_PARAM'])
      expect(await fails(bob, 'm.fully_read', { thread_id: 'main' })).toEqual([400, 'M_INVALID_PARAM'])
      expect(
        await bob.fails('POST', at`v3/rooms/${roomId}/receipt/m.read/${UNKNOWN_EVENT}`, { body: {} }),
      ).toEqual([404, 'M_NOT_FOUND'])
      expect(
        await carol.fails('POST', at`v3/rooms/${roomId}/read_markers`, { body: { 'm.read': messageId } }),
      ).toEqual([403, 'M_FORBIDDEN'])
    })

    it('PUT typing', async () => {
      const path = at`v3/rooms/${roomId}/typing/${bob.userId}`
      await bob.ok('PUT', path, { body: { typing: true, timeout: 5_000 } })
      await bob.ok('PUT', path, { body: { typing: false } })
      expect(await alice.fails('PUT', path, { body: { typing: true } })).toEqual([403, 'M_FORBIDDEN'])
      expect(await bob.fails('PUT', path, { body: {} })).toEqual([400, 'M_MISSING_PARAM'])
      expect(
        await carol.fails('PUT', at`v3/rooms/${roomId}/typing/${carol.userId}`, { body: { typing: true } }),
      ).toEqual([403, 'M_FORBIDDEN'])
    })
  })
}
