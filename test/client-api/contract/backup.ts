/** spec: client-server-api/modules/end_to_end_encryption.md "Server-side key backups" */
import type { JsonObject } from '@plexus/core'
import { beforeEach, describe, expect, it } from 'vitest'
import { pick, text, type ApiClient } from '../../kit/api-client.ts'
import { bob as other, newcomer } from './world.ts'

let users = 0

export function backup(): void {
  describe('key backups', () => {
    let api: ApiClient

    beforeEach(async () => {
      users += 1
      api = await newcomer(`keeper${users}`)
    })

    const AUTH = { public_key: 'abc', signatures: {} }
    const ALGORITHM = 'm.megolm_backup.v1.curve25519-aes-sha2'
    const create = async (): Promise<string> =>
      text(
        await api.ok('POST', 'v3/room_keys/version', { body: { algorithm: ALGORITHM, auth_data: AUTH } }),
        'version',
      )
    const session = (first: number, more: JsonObject = {}): JsonObject => ({
      first_message_index: first,
      forwarded_count: 0,
      is_verified: false,
      session_data: { ciphertext: 'x', ephemeral: 'y', mac: 'z' },
      ...more,
    })
    const KEYS = 'v3/room_keys/keys'

    it('are not there until one is made', async () => {
      expect(await api.fails('GET', 'v3/room_keys/version')).toEqual([404, 'M_NOT_FOUND'])
      expect(await api.fails('GET', 'v3/room_keys/version/1')).toEqual([404, 'M_NOT_FOUND'])
      const query = { version: '1' }
      for (const path of [KEYS, `${KEYS}/r`, `${KEYS}/r/s`])
        for (const method of ['GET', 'DELETE'])
          expect(await api.fails(method, path, { query })).toEqual([404, 'M_NOT_FOUND'])
      expect(await api.fails('DELETE', 'v3/room_keys/version/1')).toEqual([404, 'M_NOT_FOUND'])
      expect(await api.fails('POST', 'v3/room_keys/version', { body: {} })).toEqual([400, 'M_MISSING_PARAM'])
    })

    it('have versions, of which the newest is written to', async () => {
      const first = await create()
      const second = await create()
      expect(await api.ok('GET', 'v3/room_keys/version')).toEqual({
        algorithm: ALGORITHM,
        auth_data: AUTH,
        version: second,
        etag: '0',
        count: 0,
      })
      const body = { rooms: { '!r:x': { sessions: { s: session(0) } } } }
      const wrong = await api.ask('PUT', KEYS, { query: { version: first }, body })
      expect(wrong).toMatchObject({
        status: 403,
        body: { errcode: 'M_WRONG_ROOM_KEYS_VERSION', current_version: second },
      })
      expect(await api.ok('PUT', KEYS, { query: { version: second }, body })).toEqual({ etag: '1', count: 1 })
      const path = `v3/room_keys/version/${second}`
      await api.ok('PUT', path, { body: { algorithm: ALGORITHM, auth_data: { ...AUTH, public_key: 'def' } } })
      expect(pick(await api.ok('GET', path), 'auth_data', 'public_key')).toBe('def')
      expect(await api.fails('PUT', path, { body: { algorithm: 'other', auth_data: AUTH } })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
      await api.ok('DELETE', path)
      expect(pick(await api.ok('GET', 'v3/room_keys/version'), 'version')).toBe(first)
      expect(await api.fails('GET', KEYS, { query: { version: second } })).toEqual([404, 'M_NOT_FOUND'])
      // A number is never used again.
      expect(Number(await create())).toBeGreaterThan(Number(second))
    })

    it('keep the better of two keys', async () => {
      const query = { version: await create() }
      const path = `${KEYS}/${encodeURIComponent('!r:x')}/s`
      const put = (key: JsonObject): Promise<JsonObject> => api.ok('PUT', path, { query, body: key })
      expect(await put(session(5))).toEqual({ etag: '1', count: 1 })
      expect(await put(session(7))).toEqual({ etag: '1', count: 1 })
      expect(await put(session(3))).toEqual({ etag: '2', count: 1 })
      expect(await put(session(9, { is_verified: true }))).toEqual({ etag: '3', count: 1 })
      expect(await put(session(0))).toEqual({ etag: '3', count: 1 })
      expect(await put(session(9, { is_verified: true, forwarded_count: 1 }))).toEqual({
        etag: '3',
        count: 1,
      })
      expect(await api.ok('GET', path, { query })).toEqual(session(9, { is_verified: true }))
    })

    it('are read and deleted whole, by room and by session', async () => {
      const query = { version: await create() }
      const rooms = {
        '!a:x': { sessions: { s: session(0), t: session(1) } },
        '!b:x': { sessions: { u: session(2) } },
      }
      const roomA = `${KEYS}/${encodeURIComponent('!a:x')}`
      expect(await api.ok('PUT', KEYS, { query, body: { rooms } })).toEqual({ etag: '1', count: 3 })
      expect(await api.ok('GET', KEYS, { query })).toEqual({ rooms })
      expect(await api.ok('GET', roomA, { query })).toEqual(rooms['!a:x'])
      expect(await api.ok('GET', `${roomA}/s`, { query })).toEqual(session(0))
      expect(await api.fails('GET', `${roomA}/none`, { query })).toEqual([404, 'M_NOT_FOUND'])
      expect(await api.ok('DELETE', `${roomA}/s`, { query })).toEqual({ etag: '2', count: 2 })
      expect(await api.ok('DELETE', roomA, { query })).toEqual({ etag: '3', count: 1 })
      expect(await api.ok('GET', roomA, { query })).toEqual({ sessions: {} })
      expect(await api.ok('PUT', roomA, { query, body: { sessions: { s: session(0) } } })).toEqual({
        etag: '4',
        count: 2,
      })
      expect(await api.ok('DELETE', KEYS, { query })).toEqual({ etag: '5', count: 0 })
      expect(await other.fails('GET', KEYS, { query })).toEqual([404, 'M_NOT_FOUND'])
    })

    it('refuse what is malformed', async () => {
      const query = { version: await create() }
      const path = `${KEYS}/r/s`
      expect(await api.fails('PUT', path, { body: session(0) })).toEqual([400, 'M_MISSING_PARAM'])
      const bad = session(0, { session_data: 'x' })
      expect(await api.fails('PUT', path, { query, body: bad })).toEqual([400, 'M_BAD_JSON'])
      const long = `${KEYS}/${'r'.repeat(300)}/s`
      expect(await api.fails('PUT', long, { query, body: session(0) })).toEqual([400, 'M_INVALID_PARAM'])
      const large = session(0, { session_data: { x: 'x'.repeat(70_000) } })
      expect(await api.fails('PUT', path, { query, body: large })).toEqual([413, 'M_TOO_LARGE'])
      expect(await api.fails('GET', path, { query: { version: '-1' } })).toEqual([404, 'M_NOT_FOUND'])
    })
  })
}
