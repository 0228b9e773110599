/** spec: client-server-api/modules/end_to_end_encryption.md, send_to_device.md */
import type { JsonObject } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { crossSigningKey, deviceKeysOf, oneTimeKeys, signatureOf, testKey } from '../../engine/users-kit.ts'
import { list, pick, text, type ApiClient } from '../../kit/api-client.ts'
import { transaction } from '../../kit/rooms.ts'
import { alice, bob, DEVICE, network, newcomer } from './world.ts'

const deviceOf = (index: number): string => network.members[index]?.deviceId ?? ''

export function encryption(): void {
  describe('keys', () => {
    const upload = (client: ApiClient, deviceId: string): Promise<JsonObject> =>
      client.ok('POST', 'v3/keys/upload', {
        body: {
          device_keys: deviceKeysOf(client.userId, deviceId, testKey(1)),
          one_time_keys: oneTimeKeys(2),
          fallback_keys: { 'signed_curve25519:F': { key: 'f', fallback: true, signatures: {} } },
        },
      })

    it('are uploaded, queried and claimed across nodes, and told when they change', async () => {
      const from = text(await alice.ok('GET', 'v3/sync'), 'next_batch')
      expect(await upload(bob, deviceOf(1))).toEqual({ one_time_key_counts: { signed_curve25519: 2 } })
      await network.settle()
      const query = { device_keys: { [bob.userId]: [], [alice.userId]: [], nonsense: [] } }
      const found = await alice.ok('POST', 'v3/keys/query', { body: query })
      expect(pick(found, 'device_keys', bob.userId, deviceOf(1))).toEqual({
        ...deviceKeysOf(bob.userId, deviceOf(1), testKey(1)),
        unsigned: { device_display_name: 'test' },
      })
      expect(pick(found, 'device_keys', alice.userId)).toEqual({})
      const one_time_keys = {
        [bob.userId]: { [deviceOf(1)]: 'signed_curve25519', NOBODY: 'signed_curve25519' },
      }
      const claimed = await alice.ok('POST', 'v3/keys/claim', { body: { one_time_keys, timeout: 5_000 } })
      expect(pick(claimed, 'one_time_keys', bob.userId)).toEqual({ [deviceOf(1)]: oneTimeKeys(1) })
      const to = text(await alice.ok('GET', 'v3/sync'), 'next_batch')
      expect(await alice.ok('GET', 'v3/keys/changes', { query: { from, to } })).toEqual({
        changed: [bob.userId],
        left: [],
      })
      expect(await alice.fails('GET', 'v3/keys/changes', { query: { from: 'x', to: 'y' } })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
      expect(await alice.fails('GET', 'v3/keys/changes')).toEqual([400, 'M_MISSING_PARAM'])
    })

    it('of another device or user are refused, and such as lack something', async () => {
      const { signatures: _, ...unsigned } = deviceKeysOf(alice.userId, deviceOf(0), testKey(1))
      for (const keys of [
        deviceKeysOf(alice.userId, 'OTHER', testKey(1)),
        deviceKeysOf(bob.userId, deviceOf(0), testKey(1)),
        unsigned,
      ]) {
        const refused = await alice.fails('POST', 'v3/keys/upload', { body: { device_keys: keys } })
        expect(refused).toEqual([400, 'M_BAD_JSON'])
      }
    })

    it.each([
      ['v3/keys/upload', { one_time_keys: [] }],
      ['v3/keys/query', { device_keys: { '@a:b': 'c' } }],
      ['v3/keys/claim', { one_time_keys: { '@a:b': ['c'] } }],
      ['v3/keys/signatures/upload', { '@a:b': 7 }],
      ['v3/keys/device_signing/upload', { master_key: 'x' }],
    ])('%s refuses %j', async (path, body) => {
      expect(await alice.fails('POST', path, { body })).toEqual([400, 'M_BAD_JSON'])
    })

    it('that sign others are uploaded, and their signatures, with what was wrong with them', async () => {
      const ivan = await newcomer('ivan')
      await upload(ivan, DEVICE)
      const [master, self] = [testKey(2), testKey(3)]
      const body = {
        master_key: crossSigningKey(ivan.userId, 'master', master),
        self_signing_key: crossSigningKey(ivan.userId, 'self_signing', self, master),
      }
      expect(await ivan.ok('POST', 'v3/keys/device_signing/upload', { body })).toEqual({})
      const another = { body: { master_key: crossSigningKey(ivan.userId, 'master', testKey(4)) } }
      const asked = await ivan.ask('POST', 'v3/keys/device_signing/upload', another)
      expect(asked).toMatchObject({ status: 401, body: { flows: [{ stages: ['m.login.password'] }] } })
      const keys = deviceKeysOf(ivan.userId, DEVICE, testKey(1))
      const sign = (key: typeof self): JsonObject => ({
        [ivan.userId]: { [DEVICE]: signatureOf(keys, ivan.userId, `ed25519:${key.id}`, key) },
      })
      const path = 'v3/keys/signatures/upload'
      expect(pick(await ivan.ok('POST', path, { body: sign(self) }), 'failures') ?? {}).toEqual({})
      expect(await ivan.ok('POST', path, { body: sign(testKey(9)) })).toMatchObject({
        failures: { [ivan.userId]: { [DEVICE]: { errcode: 'M_INVALID_SIGNATURE' } } },
      })
    })

    it('PUT sendToDevice brings a message once', async () => {
      const since = text(await bob.ok('GET', 'v3/sync'), 'next_batch')
      const path = `v3/sendToDevice/m.test/${transaction()}`
      const body = { messages: { [bob.userId]: { [deviceOf(1)]: { n: 1 } } } }
      for (let time = 0; time < 2; time += 1) await alice.ok('PUT', path, { body })
      await network.settle()
      const sync = await bob.ok('GET', 'v3/sync', { query: { since } })
      expect(list(sync, 'to_device', 'events')).toEqual([
        { sender: alice.userId, type: 'm.test', content: { n: 1 } },
      ])
      const wrong = { messages: { [bob.userId]: { [deviceOf(1)]: 'text' } } }
      expect(await alice.fails('PUT', `${path}2`, { body: wrong })).toEqual([400, 'M_BAD_JSON'])
    })
  })
}
