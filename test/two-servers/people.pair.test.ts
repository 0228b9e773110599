/** What two servers tell each other of their people: profiles, devices, keys, what they do just now, and what they look for. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { at, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { noisePng } from '../kit/image.ts'
import { createRoom, say, transaction } from '../kit/rooms.ts'
import { CARRIERS, eventually, membership, startPair, stateOf, type Pair } from './pair.ts'

describe.each(CARRIERS)('over %s', (carrier) => {
  let pair: Pair
  let alice: ApiClient
  let bob: ApiClient
  let roomId: string

  beforeAll(async () => {
    pair = await startPair(carrier)
    alice = await pair.a.person()
    bob = await pair.b.person()
    roomId = await createRoom(alice, { preset: 'public_chat', name: 'Common', topic: 'ground' })
    await bob.ok('POST', at`v3/join/${roomId}`, { query: { via: pair.a.name }, body: {} })
    await membership(alice, roomId, bob.userId, 'join')
  })
  afterAll(() => pair?.[Symbol.asyncDispose]())

  const deviceOf = async (client: ApiClient): Promise<string> =>
    text(await client.ok('GET', 'v3/account/whoami'), 'device_id')
  const ephemeral = (sync: Awaited<ReturnType<ApiClient['ok']>>, type: string) =>
    list(sync, 'rooms', 'join', roomId, 'ephemeral', 'events').find((event) => event['type'] === type)

  /** Device keys with signatures that nobody checks here. */
  const deviceKeys = (client: ApiClient, device: string) => ({
    user_id: client.userId,
    device_id: device,
    algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
    keys: { [`curve25519:${device}`]: 'A'.repeat(43), [`ed25519:${device}`]: 'B'.repeat(43) },
    signatures: { [client.userId]: { [`ed25519:${device}`]: 'C'.repeat(86) } },
  })

  it('a profile is asked for, and its change seen in rooms', async () => {
    await alice.ok('PUT', at`v3/profile/${alice.userId}/displayname`, { body: { displayname: 'Alice' } })
    expect(await bob.ok('GET', at`v3/profile/${alice.userId}`)).toMatchObject({ displayname: 'Alice' })
    await eventually(
      bob,
      async () => (await stateOf(bob, roomId, 'm.room.member', alice.userId))?.['displayname'] === 'Alice',
    )
    const nobody = `@nobody:${pair.a.name}`
    expect(await bob.fails('GET', at`v3/profile/${nobody}`)).toEqual([404, 'M_NOT_FOUND'])
  })

  it('typing, receipts and presence come across', async () => {
    await alice.ok('PUT', at`v3/rooms/${roomId}/typing/${alice.userId}`, {
      body: { typing: true, timeout: 30_000 },
    })
    await eventually(bob, async () => {
      const typing = ephemeral(await bob.ok('GET', 'v3/sync'), 'm.typing')
      return JSON.stringify(pick(typing, 'content', 'user_ids') ?? []).includes(alice.userId)
    })
    const read = await say(bob, roomId, 'read me')
    await eventually(
      alice,
      async () => (await alice.ask('GET', at`v3/rooms/${roomId}/event/${read}`)).status === 200,
    )
    await alice.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${read}`, { body: {} })
    await eventually(bob, async () => {
      const receipts = ephemeral(await bob.ok('GET', 'v3/sync'), 'm.receipt')
      return pick(receipts, 'content', read, 'm.read', alice.userId)
    })
    const status = { presence: 'unavailable', status_msg: 'at tea' }
    await alice.ok('PUT', at`v3/presence/${alice.userId}/status`, { body: status })
    await eventually(bob, async () => {
      const { body } = await bob.ask('GET', at`v3/presence/${alice.userId}/status`)
      return body['status_msg'] === 'at tea'
    })
  })

  it('a private receipt stays at home', async () => {
    const first = await say(bob, roomId, 'first')
    const second = await say(bob, roomId, 'second')
    await eventually(
      alice,
      async () => (await alice.ask('GET', at`v3/rooms/${roomId}/event/${second}`)).status === 200,
    )
    await alice.ok('POST', at`v3/rooms/${roomId}/receipt/m.read.private/${first}`, { body: {} })
    await alice.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${second}`, { body: {} })
    await eventually(bob, async () => {
      const receipts = ephemeral(await bob.ok('GET', 'v3/sync'), 'm.receipt')
      expect(JSON.stringify(receipts ?? {})).not.toContain('m.read.private')
      return pick(receipts, 'content', second, 'm.read', alice.userId)
    })
  })

  it('messages to a device come once', async () => {
    const device = await deviceOf(bob)
    const send = (n: number) => {
      const body = { messages: { [bob.userId]: { [device]: { n } } } }
      return alice.ok('PUT', at`v3/sendToDevice/m.test/${transaction()}`, { body })
    }
    const from = text(await bob.ok('GET', 'v3/sync'), 'next_batch')
    await send(1)
    await send(2)
    let since = from
    const got: unknown[] = []
    await eventually(bob, async () => {
      const sync = await bob.ok('GET', 'v3/sync', { query: { since } })
      since = text(sync, 'next_batch')
      got.push(...list(sync, 'to_device', 'events').map((event) => pick(event, 'content', 'n')))
      return got.includes(2)
    })
    expect(got).toEqual([1, 2])
  })

  it('device keys are asked for and claimed, and a change of devices is told', async () => {
    const carol = await pair.b.person()
    await carol.ok('POST', at`v3/join/${roomId}`, { query: { via: pair.a.name }, body: {} })
    await membership(alice, roomId, carol.userId, 'join')
    const device = await deviceOf(carol)
    const since = text(await alice.ok('GET', 'v3/sync'), 'next_batch')
    const key = {
      key: 'D'.repeat(43),
      signatures: { [carol.userId]: { [`ed25519:${device}`]: 'E'.repeat(86) } },
    }
    await carol.ok('POST', 'v3/keys/upload', {
      body: { device_keys: deviceKeys(carol, device), one_time_keys: { 'signed_curve25519:AAAAAA': key } },
    })
    await eventually(alice, async () => {
      const changed = pick(await alice.ok('GET', 'v3/sync', { query: { since } }), 'device_lists', 'changed')
      return Array.isArray(changed) && changed.includes(carol.userId)
    })
    const asked = await alice.ok('POST', 'v3/keys/query', { body: { device_keys: { [carol.userId]: [] } } })
    expect(pick(asked, 'device_keys', carol.userId, device)).toMatchObject(deviceKeys(carol, device))
    const body = { one_time_keys: { [carol.userId]: { [device]: 'signed_curve25519' } } }
    const claimed = await alice.ok('POST', 'v3/keys/claim', { body })
    expect(pick(claimed, 'one_time_keys', carol.userId, device)).toEqual({ 'signed_curve25519:AAAAAA': key })
    expect(
      pick(await alice.ok('POST', 'v3/keys/claim', { body }), 'one_time_keys', carol.userId),
    ).toBeUndefined()
    await carol.ok('POST', at`v3/rooms/${roomId}/leave`, { body: {} })
    await eventually(alice, async () => {
      const left = pick(await alice.ok('GET', 'v3/sync', { query: { since } }), 'device_lists', 'left')
      return Array.isArray(left) && left.includes(carol.userId)
    })
  })

  it('a file is fetched from the server that has it, and its thumbnail', async () => {
    const { bytes } = noisePng(64, 48)
    const upload = { bytes: new Uint8Array(bytes), contentType: 'image/png' }
    const uri = text(await alice.ok('POST', '/_matrix/media/v3/upload', { upload }), 'content_uri')
    const [, , server = '', id = ''] = uri.split('/')
    const got = await bob.ask('GET', at`v1/media/download/${server}/${id}`)
    expect([got.status, got.headers.get('content-type')]).toEqual([200, 'image/png'])
    expect(Buffer.from(got.bytes).equals(Buffer.from(bytes))).toBe(true)
    const query = { width: '32', height: '32', method: 'crop' }
    const small = await bob.ask('GET', at`v1/media/thumbnail/${server}/${id}`, { query })
    expect(small.status).toBe(200)
    expect(small.bytes.length).toBeGreaterThan(0)
    expect((await bob.ask('GET', at`v1/media/download/${server}/none`)).status).toBe(404)
  })

  it('public rooms and spaces of the other server are found', async () => {
    const listed = await createRoom(alice, { preset: 'public_chat', visibility: 'public', name: 'Listed' })
    const rooms = await bob.ok('GET', 'v3/publicRooms', { query: { server: pair.a.name } })
    expect(list(rooms, 'chunk').map((room) => room['room_id'])).toContain(listed)
    const space = await createRoom(alice, { preset: 'public_chat', creation_content: { type: 'm.space' } })
    const child = at`v3/rooms/${space}/state/m.space.child/${listed}`
    await alice.ok('PUT', child, { body: { via: [pair.a.name] } })
    await bob.ok('POST', at`v3/join/${space}`, { query: { via: pair.a.name }, body: {} })
    const hierarchy = await bob.ok('GET', at`v1/rooms/${space}/hierarchy`)
    expect(list(hierarchy, 'rooms').map((room) => room['room_id'])).toEqual([space, listed])
  })
})
