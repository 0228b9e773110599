/**
 * Each endpoint of the Server-Server API is asked by a server in the room, in the shape that the specification gives to its
 * requests, rightly and in every wrong way that we know. `FUZZ_RUNS` is the number of requests to each, `FUZZ_SEED` makes
 * others; a request that fails prints itself.
 */
import { isJsonObject, parseJson, type JsonValue, type RoomAlias } from '@plexus/core'
import type { CarrierResponse } from '@plexus/engine/ports'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFakePeer, type FakePeer } from '../kit/fake-peer.ts'
import { createHostileRequests, type HostileRequest, type Vocabulary } from '../kit/hostile-requests.ts'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { readRequestSchemas, type RequestShape } from '../kit/request-schemas.ts'
import { createSpecValidator } from '../kit/spec-validation.ts'
import { settled } from '../kit/virtual-clock.ts'
import { bringIn, createRoom, read, say } from './room.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 30)
const SEED = Number(process.env['FUZZ_SEED'] ?? 1)
/** Of one endpoint, against hanging. */
const LIMIT_MS = 60_000 + RUNS * 500
const MAX_ANSWER_BYTES = 1_000_000
/** Turns of the event loop that a request gets before time goes on, by such steps. */
const TURNS = 100
const STEP_MS = 5_000
const MAX_STEPS = 40
/** Of the machine, for what the platform does, such as signatures. */
const PATIENCE_MS = 10_000
/** Endpoints that never succeed here: what must be built of the room's present, and what no such node serves. */
const MAX_NEVER = 11

/** Discovery is a file of the web server. */
const SERVED = '/_matrix/'
const schemas = readRequestSchemas()
const validator = createSpecValidator()
const requests: readonly RequestShape[] = [
  ...schemas.requests('server-server').filter(({ template }) => template.startsWith(SERVED)),
  {
    method: 'GET',
    template: '/_matrix/federation/v1/extremities/{roomId}',
    path: [{ name: 'roomId', required: true, shape: schemas.shapeOf({ type: 'string' }) }],
    query: [],
  },
]

type World = {
  readonly network: TestNetwork
  readonly alice: Member
  readonly bob: Member
  readonly fake: FakePeer
  readonly roomId: Awaited<ReturnType<typeof createRoom>>
  readonly vocabulary: Vocabulary
}

async function createWorld(): Promise<World> {
  const network = await createTestNetwork(['alice', 'bob', 'mallory'], 61)
  const [alice, bob, mallory] = network.members as [Member, Member, Member]
  const fake = createFakePeer({ loopback: network.loopback, clock: network.clock, seed: 63 })
  const roomId = await createRoom(alice, 'public')
  await bringIn(alice, bob, roomId)
  await bringIn(alice, mallory, roomId)
  const closed = await createRoom(alice, 'knock')
  const eventId = await say(alice, roomId, 'hello')
  await network.settle()
  const { engine } = alice.node
  const alias = `#tea:${alice.node.name}` as RoomAlias
  await engine.roomDirectory.create(alias, roomId, alice.user)
  await engine.roomDirectory.setPublished(roomId, true)
  await engine.users.profiles.set(alice.user, 'displayname', 'Alice')
  const media = await engine.users.media.upload(alice.user, Uint8Array.of(1), { contentType: 'image/png' })
  await network.settle()
  const heads = (await engine.rooms.snapshot(roomId))?.heads ?? []
  const newcomer = `@new:${fake.name}`
  const users = [alice.user, alice.user, bob.user, newcomer, `@nobody:${alice.node.name}`]
  const events = [eventId, ...heads, `$${'A'.repeat(43)}`]
  const pdu = JSON.stringify((await engine.rooms.event(eventId))?.pdu ?? {})
  return {
    network,
    alice,
    bob,
    fake,
    roomId,
    vocabulary: {
      roomid: [roomId, roomId, roomId, closed, `!${'A'.repeat(43)}`],
      eventid: events,
      v: events,
      earliestevents: events,
      latestevents: events,
      // Who comes and goes is of the server that asks.
      userid: [...users, newcomer, newcomer, newcomer, mallory.user, mallory.user],
      sender: [mallory.user, ...users],
      statekey: ['', ...users],
      roomalias: [alias, `#x:${alice.node.name}`],
      txnid: ['1', '2'],
      ver: ['1', '11', '12', '12', '99'],
      roomversion: ['1', '12', '99'],
      mediaid: [media, 'x'],
      field: ['displayname', 'avatar_url', 'x'],
      servername: [alice.node.name, bob.node.name],
      edutype: ['m.typing', 'm.receipt', 'm.presence', 'm.device_list_update', 'm.direct_to_device', 'x'],
      origin: [fake.name, alice.node.name],
      accesstoken: [engine.users.openId.create(alice.user).token, 'x'],
      querytype: ['profile', 'directory', 'x'],
      type: ['m.room.member', 'm.room.message'],
      membership: ['join', 'leave', 'knock', 'invite', 'ban'],
      dir: ['b', 'f'],
      ts: ['0', '1795219200000'],
      limit: ['0', '10', '1000'],
      'devicekeys*': users,
      'onetimekeys*': users,
      'onetimekeys**': [alice.deviceId, 'X'],
      '{}': [pdu, '{}'],
      'event{}': [pdu],
      pdus: [pdu],
      'pdus{}': [`[${pdu}]`, '[]'],
      'edus{}': [
        '[]',
        `[{"edu_type":"m.typing","content":{"room_id":"${roomId}","user_id":"${mallory.user}","typing":true}}]`,
      ],
      method: ['crop', 'scale'],
      width: ['32'],
      height: ['32'],
    },
  }
}

/** The answer, with time passing as long as there is none; `undefined` for what no server could sign. */
async function send(
  world: World,
  { method, target, body }: HostileRequest,
): Promise<CarrierResponse | undefined> {
  const { network, fake, alice } = world
  let content: JsonValue | undefined
  if (body !== undefined) {
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body
    const parsed = parseJson(bytes, { maxBytes: bytes.length })
    if (parsed.kind === 'failure') return undefined
    content = parsed.value
  }
  const raw = { method, uri: target, ...(content === undefined ? {} : { content }) }
  const enveloped = await fake.enclose(alice.node.name, raw).catch(() => undefined)
  if (enveloped === undefined) return undefined
  let isAnswered = false
  const asked = fake.bring(enveloped).finally(() => (isAnswered = true))
  for (let step = 0; step < MAX_STEPS; step += 1) {
    for (let turn = 0; turn < TURNS && !isAnswered; turn += 1) await settled()
    if (isAnswered) return (await asked).response
    await network.clock.advance(STEP_MS)
  }
  const hanging = Promise.withResolvers<never>()
  const timer = setTimeout(() => hanging.reject(new Error('no answer')), PATIENCE_MS)
  const { response } = await Promise.race([asked, hanging.promise]).finally(() => clearTimeout(timer))
  return response
}

/** `METHOD template status` of all that was answered. */
const answered = new Set<string>()

async function check(world: World, { template }: RequestShape, request: HostileRequest): Promise<void> {
  const { committer } = world.alice.node.engine
  const before = committer.committed
  const start = world.network.clock.now()
  const response = await send(world, request)
  if (response === undefined) return
  const { status, contentType, body } = response
  answered.add(`${request.method} ${template} ${status}`)
  expect(status).toBeLessThan(500)
  expect(body.length).toBeLessThan(MAX_ANSWER_BYTES)
  if (contentType !== 'application/json') {
    expect(status).toBe(200)
    expect(contentType).toMatch(/^multipart\/mixed/)
    return
  }
  const answer = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as JsonValue
  const path = request.target.split('?')[0] ?? ''
  expect(validator.problems('server-server', request.method, path, status, answer) ?? []).toEqual([])
  if (status < 400) return
  expect((isJsonObject(answer) ? answer : {})['errcode']).toMatch(/^M_[A-Z_]+$/)
  if (world.network.clock.now() === start)
    expect(committer.committed, 'a refusal changed something').toBe(before)
}

/** The room goes on, for all that are in it. */
async function checkWorld({ network, alice, bob, roomId }: World): Promise<void> {
  await network.settle()
  expect(alice.node.complaints.filter((line) => line.includes('failed'))).toEqual([])
  const again = await network.restart(alice)
  await say(again, roomId, 'after all')
  await network.settle()
  await network.pass(60_000)
  expect(await read(bob, roomId)).toContain('after all')
}

const byPath = Map.groupBy(requests, ({ template }) => template)

describe('whatever another server asks of', () => {
  it.each([...byPath])(
    '%s is answered in the way of the specification',
    async (_, shapes) => {
      const world = await createWorld()
      const hostile = createHostileRequests(world.vocabulary)
      for (const shape of shapes) {
        const property = fc.asyncProperty(hostile(shape, ''), (one) => check(world, shape, one))
        await fc.assert(property, { numRuns: RUNS, seed: SEED, endOnFailure: true })
      }
      await checkWorld(world)
      await world.network.close()
    },
    LIMIT_MS,
  )

  it('gets further than the door', () => {
    const never = requests
      .map(({ method, template }) => `${method} ${template}`)
      .filter((name) => !answered.has(`${name} 200`))
    expect(never.length, never.join(' ')).toBeLessThan(MAX_NEVER)
  })
})
