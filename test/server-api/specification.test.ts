/** Every answer of a node against the official definitions of the Server-Server API. */
import { isJsonObject, type DeviceId, type JsonObject, type RoomAlias, type RoomId } from '@plexus/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFakePeer, type FakePeer } from '../kit/fake-peer.ts'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { createSpecValidator } from '../kit/spec-validation.ts'
import { bringIn, createRoom, say } from './room.ts'

const SEED = 51
const V1 = '/_matrix/federation/v1'
const enc = encodeURIComponent

/** Paths of the specification that no Plexus node answers: a stranger is told so by 404 M_UNRECOGNIZED. */
const NOT_SERVED: readonly string[] = [
  // A file of the web server of a DNS name.
  '/.well-known/matrix/server',
  // Users of a Plexus node have no third-party identifiers: whoever says that one was bound to them is wrong.
  '/_matrix/federation/v1/3pid/onbind',
  // For policy servers.
  '/_matrix/policy/v1/sign',
  // The known types have paths of their own.
  '/_matrix/federation/v1/query/{queryType}',
]

const validator = createSpecValidator()
const operationOf = (method: string, uri: string) =>
  validator.find('server-server', method, (uri.split('?')[0] ?? '').replaceAll('%2F', '-'))

describe('the Server-Server API', { timeout: 60_000 }, () => {
  let network: TestNetwork
  let alice: Member
  let bob: Member
  let fake: FakePeer
  let roomId: RoomId

  beforeAll(async () => {
    network = await createTestNetwork(['alice', 'bob', 'carol'], SEED)
    ;[alice, bob] = network.members as [Member, Member]
    fake = createFakePeer({ loopback: network.loopback, clock: network.clock, seed: SEED + 1 })
    roomId = await createRoom(alice)
    await useEverything()
  })
  afterAll(() => network.close())

  /** Makes the nodes ask one another for all that they can ask for. */
  async function useEverything(): Promise<void> {
    const [, , carol] = network.members as [Member, Member, Member]
    await say(alice, roomId, 'before')
    const link = await alice.node.engine.control.createInvite(roomId, alice.user)
    await carol.node.engine.control.openInvite(link, carol.user)
    await carol.node.engine.rooms.leave(carol.user, roomId)
    await bringIn(alice, bob, roomId)
    await network.settle()
    const said = await say(alice, roomId, 'hello')
    await network.settle()
    await bob.node.engine.users.profiles.set(bob.user, 'displayname', 'Bob')
    await alice.node.engine.users.profiles.set(alice.user, 'displayname', 'Alice')
    await network.settle()
    await alice.node.engine.roomDirectory.setPublished(roomId, true)
    const alias = `#tea:${alice.node.name}` as RoomAlias
    await alice.node.engine.roomDirectory.create(alias, roomId, alice.user)
    const caller = { userId: alice.user, deviceId: alice.deviceId as DeviceId }
    await alice.node.engine.users.keys.upload(caller, keysOf(alice))
    const bytes = Uint8Array.of(1, 2, 3)
    const media = await alice.node.engine.users.media.upload(alice.user, bytes, { contentType: 'image/png' })
    const to = alice.node.name
    const { federation } = bob.node.engine
    await federation.backfill(to, roomId, [said], 10)
    await federation.getMissingEvents(to, roomId, { earliest: [], latest: [said], limit: 10, minDepth: 0 })
    await federation.event(to, said)
    await federation.state(to, roomId, said)
    await federation.stateIds(to, roomId, said)
    await federation.profile(to, alice.user, undefined)
    await federation.directory(to, alias)
    await federation.userDevices(to, alice.user)
    await federation.queryKeys(to, { [alice.user]: [] })
    await federation.claimKeys(to, { [alice.user]: { [alice.deviceId]: 'signed_curve25519' } })
    await federation.downloadMedia(to, media, 100)
    await federation.publicRooms(to, { limit: 5, term: 'tea' })
    await federation.hierarchy(to, roomId)
    await federation.serverKeys(to)
    await federation.notaryKeys(to, to, network.clock.now())
    const server_keys = { [to]: { 'ed25519:1': { minimum_valid_until_ts: network.clock.now() } } }
    await fake.ask(to, { method: 'POST', uri: '/_matrix/key/v2/query', content: { server_keys } })
    await federation.timestampToEvent(to, roomId, network.clock.now(), 'b')
    await fake.ask(to, { method: 'GET', uri: `${V1}/publicRooms?limit=0` })
    const { token } = alice.node.engine.users.openId.create(alice.user)
    for (const known of [token, 'x'])
      await fake.ask(to, { method: 'GET', uri: `${V1}/openid/userinfo?access_token=${known}` })
    const invite = { method: 'PUT', uri: `${V1}/invite/${enc(roomId)}/${enc(said)}`, content: {} }
    await fake.ask(to, invite)
    const open = await createRoom(alice, 'knock')
    await carol.node.engine.rooms.knock(carol.user, open, { via: [to] })
    await fake.ask(to, { method: 'GET', uri: `${V1}/event_auth/${enc(roomId)}/${enc(said)}` })
    await fake.ask(to, { method: 'GET', uri: `${V1}/version` })
    await fake.ask(to, { method: 'GET', uri: `${V1}/media/thumbnail/${media}?width=32&height=32` })
    await fake.ask(to, { method: 'GET', uri: `${V1}/make_knock/${enc(roomId)}/${enc(bob.user)}?ver=12` })
    await network.settle()
  }

  it('answers as it is defined', () => {
    const wrong = network.loopback.log.flatMap(({ method, uri, response }) => {
      if (response === undefined) return [`${method} ${uri}: no answer`]
      if (response.contentType !== 'application/json') return []
      const body = withOrigin(JSON.parse(new TextDecoder().decode(response.body)) as JsonObject)
      const path = uri.split('?')[0] ?? ''
      const problems = validator.problems('server-server', method, path, response.status, body)
      return (problems ?? ['no such endpoint']).map(
        (problem) => `${method} ${path} ${response.status}: ${problem}`,
      )
    })
    expect(wrong).toEqual([])
  })

  /** The definition of an invite wants an `origin`, which events of this room version do not have. */
  function withOrigin(body: JsonObject): JsonObject {
    const { event } = body
    return isJsonObject(event) && 'signatures' in event ? { ...body, event: { origin: 'x', ...event } } : body
  }

  it('was asked for all that it serves', () => {
    const asked = new Set(network.loopback.log.map(({ method, uri }) => operationOf(method, uri)?.template))
    const defined = validator.operations('server-server').map(({ template }) => template)
    const missing = defined.filter((template) => !asked.has(template) && !NOT_SERVED.includes(template))
    expect(missing).toEqual([])
    const operations = validator.operations('server-server')
    const served = operations.filter(({ template }) => !NOT_SERVED.includes(template)).length
    console.log(`${served} of ${operations.length} endpoints covered`)
    expect([served, operations.length]).toEqual([32, 36])
  })

  it('has every refused path in the specification', () => {
    const defined = new Set(validator.operations('server-server').map(({ template }) => template))
    expect(NOT_SERVED.filter((template) => !defined.has(template))).toEqual([])
  })

  it.each(NOT_SERVED)('says that it does not serve %s', async (template) => {
    const uri = template.replaceAll(/\{[a-zA-Z]+\}/g, 'x')
    const { status, body } = await fake.ask(alice.node.name, { method: 'GET', uri })
    expect({ status, body }).toMatchObject({ status: 404, body: { errcode: 'M_UNRECOGNIZED' } })
  })
})

function keysOf({ user, deviceId }: Member) {
  const key = { key: 'K'.repeat(43), signatures: { [user]: { [`ed25519:${deviceId}`]: 'C'.repeat(86) } } }
  return {
    deviceKeys: {
      user_id: user,
      device_id: deviceId,
      algorithms: ['m.megolm.v1.aes-sha2'],
      keys: { [`curve25519:${deviceId}`]: 'A'.repeat(43), [`ed25519:${deviceId}`]: 'B'.repeat(43) },
      signatures: { [user]: { [`ed25519:${deviceId}`]: 'C'.repeat(86) } },
    },
    oneTimeKeys: { 'signed_curve25519:1': key },
  }
}
