/**
 * Nobody reads what the rules of the history visibility do not allow, by whatever endpoint, and everybody what they do:
 * every rule, every course that a membership can take, every endpoint that tells of events.
 */
import { createClientApi, UNLIMITED } from '@plexus/client-api'
import { serverOf, type JsonObject, type JsonValue } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { at, createApiClient, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { quickKeys } from '../kit/keys.ts'
import { createLoopback } from '../kit/loopback.ts'
import { createTestNode, quiet, type TestNode } from '../kit/node.ts'
import { createRoom } from '../kit/rooms.ts'
import { createVirtualClock, type VirtualClock } from '../kit/virtual-clock.ts'
import {
  HISTORIES,
  sightAfter,
  VISIBILITIES,
  type History,
  type Sight,
  type Step,
} from '../kit/visibility-cases.ts'

/** Of a message, of an edit of the one before, of the last of a thread below the one before, of state, of a member. */
const mark = (kind: 'text' | 'edit' | 'reply' | 'state' | 'name', step: number): string =>
  `${kind}${step}secret`
const MARKS = /(text|edit|reply|state|name)([0-9]+)secret/g
const TYPE = 'test.state'
/** A word of all messages. */
const NEEDLE = 'needle'
const STEP_MS = 1_000
/** Presence is no event of a room. */
const HIDDEN = { set_presence: 'offline' }

type World = {
  readonly nodes: readonly TestNode[]
  readonly clock: VirtualClock
  /** Waits until the nodes have nothing more to tell each other. */
  readonly settle: () => Promise<void>
  readonly alice: ApiClient
  readonly carol: ApiClient
  readonly bob: ApiClient
  readonly roomId: string
  /** By step. */
  readonly messages: string[]
  readonly replies: string[]
  readonly times: number[]
}

/** Bob is `here`, where the others are, or on a node of his own. */
async function createWorld(visibility: string, place: 'here' | 'away'): Promise<World> {
  const clock = createVirtualClock()
  const loopback = createLoopback({ clock })
  const seeds = place === 'here' ? [1] : [1, 2]
  const nodes = await Promise.all(
    seeds.map((seed) => createTestNode({ loopback, clock, seed, keys: quickKeys(seed) })),
  )
  const settle = (): Promise<void> => quiet(loopback, nodes)
  const person = async (name: string, node = nodes[0]): Promise<ApiClient> => {
    if (node === undefined) throw new Error('a node')
    return createApiClient(createClientApi(node.engine, { rateLimits: UNLIMITED }), await node.signUp(name))
  }
  const [alice, carol, bob] = [
    await person('alice'),
    await person('carol'),
    await person('bob', nodes.at(-1)),
  ]
  const roomId = await createRoom(alice, {
    initial_state: [
      { type: 'm.room.history_visibility', content: { history_visibility: visibility } },
      { type: 'm.room.join_rules', content: { join_rule: 'public' } },
    ],
  })
  await carol.ok('POST', at`v3/join/${roomId}`, { body: {} })
  return { nodes, clock, settle, alice, carol, bob, roomId, messages: [], replies: [], times: [] }
}

async function take({ alice, bob, roomId }: World, step: Step): Promise<void> {
  const room = at`v3/rooms/${roomId}`
  const toBob = { body: { user_id: bob.userId } }
  const rule = (join_rule: string): Promise<JsonObject> =>
    alice.ok('PUT', `${room}/state/m.room.join_rules`, { body: { join_rule } })
  if (step === 'wait') return
  if (VISIBILITIES.some((one) => one === step))
    await alice.ok('PUT', `${room}/state/m.room.history_visibility`, { body: { history_visibility: step } })
  else if (step === 'join')
    await bob.ok('POST', at`v3/join/${roomId}`, { query: { via: serverOf(alice.userId) }, body: {} })
  else if (step === 'leave' || step === 'forget') await bob.ok('POST', `${room}/${step}`, { body: {} })
  else if (step === 'knock') {
    await rule('knock')
    await bob.ok('POST', at`v3/knock/${roomId}`, { body: {} })
    await rule('public')
  } else await alice.ok('POST', `${room}/${step}`, toBob)
}

/** The step's own message and state, and what is added to the message before. */
async function tell(world: World, step: number): Promise<void> {
  const { alice, carol, roomId, messages, replies } = world
  const room = at`v3/rooms/${roomId}`
  const send = async (kind: 'text' | 'edit' | 'reply', content: JsonObject): Promise<string> =>
    text(
      await alice.ok('PUT', `${room}/send/m.room.message/${mark(kind, step)}`, {
        body: { msgtype: 'm.text', body: `${mark(kind, step)} ${NEEDLE}`, ...content },
      }),
      'event_id',
    )
  messages.push(await send('text', {}))
  const before = messages[Math.max(0, step - 1)] ?? ''
  replies.push(await send('reply', { 'm.relates_to': { rel_type: 'm.thread', event_id: before } }))
  await send('edit', {
    'm.new_content': { msgtype: 'm.text', body: mark('edit', step) },
    'm.relates_to': { rel_type: 'm.replace', event_id: before },
  })
  await alice.ok('PUT', `${room}/state/${TYPE}`, { body: { value: mark('state', step) } })
  await carol.ok('PUT', `${room}/state/m.room.member/${encodeURIComponent(carol.userId)}`, {
    body: { membership: 'join', displayname: mark('name', step) },
  })
  world.times.push(world.clock.now())
  await world.clock.advance(STEP_MS)
}

/** The steps whose marks of a kind stand in an answer. */
function marksIn(answer: JsonValue, kinds: readonly string[]): readonly number[] {
  const found = [...JSON.stringify(answer).matchAll(MARKS)].filter(([, kind]) => kinds.includes(kind ?? ''))
  return [...new Set(found.map(([, , step]) => Number(step)))].sort((a, b) => a - b)
}

/** Fails when an answer, whatever its status, tells what the reader may not know. */
function checkSecrets(where: string, answer: JsonValue, { readable, known }: Sight): void {
  const told = marksIn(answer, ['text', 'edit', 'reply']).filter((step) => !readable.includes(step))
  const state = marksIn(answer, ['state', 'name']).filter((step) => step > known)
  expect([where, told, state]).toEqual([where, [], []])
}

type Asked = readonly [method: string, path: string, init?: Parameters<ApiClient['ask']>[2]]

/** The way to everything that there is to read in the room. */
function allRequests({ roomId, messages, replies, bob, carol }: World): readonly Asked[] {
  const room = at`rooms/${roomId}`
  const many = { limit: '100' }
  const ofReplies = replies.map((id): Asked => ['GET', `v3/${room}/event/${encodeURIComponent(id)}`])
  const ofMessages = messages.flatMap((id): readonly Asked[] => [
    ['GET', at`v3/events/${id}`],
    ['GET', `v3/${room}/context/${encodeURIComponent(id)}`, { query: many }],
    ['GET', `v1/${room}/relations/${encodeURIComponent(id)}`, { query: { ...many, recurse: 'true' } }],
    ['GET', `v1/${room}/relations/${encodeURIComponent(id)}/m.thread`, { query: many }],
    ['GET', `v1/${room}/relations/${encodeURIComponent(id)}/m.replace/m.room.message`],
  ])
  const config = { timeline_limit: 100, required_state: { include: [{}] } }
  const extensions = {
    account_data: { enabled: true },
    receipts: { enabled: true },
    typing: { enabled: true },
  }
  const search_categories = {
    room_events: { search_term: NEEDLE, include_state: true, filter: { limit: 100 } },
  }
  return [
    ...ofReplies,
    ...ofMessages,
    ...['f', 'b'].map((dir): Asked => ['GET', `v3/${room}/messages`, { query: { ...many, dir } }]),
    ['GET', `v1/${room}/threads`, { query: many }],
    ['GET', `v3/${room}/state`],
    ['GET', `v3/${room}/state/${TYPE}`],
    ['GET', `v3/${room}/state/${TYPE}`, { query: { format: 'event' } }],
    ['GET', `v3/${room}/state/m.room.member/${encodeURIComponent(carol.userId)}`],
    ['GET', `v3/${room}/members`],
    ['GET', `v3/${room}/joined_members`],
    ['GET', `v3/${room}/aliases`],
    ['GET', `v3/${room}/initialSync`],
    ['GET', 'v3/initialSync', { query: { ...many, archived: 'true' } }],
    ['GET', 'v3/events', { query: { room_id: roomId, from: 's0_0' } }],
    ['GET', 'v3/notifications', { query: many }],
    ['GET', 'v3/sync', { query: { filter: '{"room":{"include_leave":true,"timeline":{"limit":100}}}' } }],
    ['POST', 'v3/search', { body: { search_categories } }],
    ['POST', 'v4/sync', { body: { lists: { all: { ...config, range: [0, 9] } }, extensions } }],
    ['POST', 'v4/sync', { body: { conn_id: 'one', room_subscriptions: { [roomId]: config } } }],
    ['GET', at`v1/room_summary/${roomId}`],
    ['GET', `v1/${room}/hierarchy`],
    ['GET', 'v1/mutual_rooms', { query: { user_id: carol.userId } }],
    ['GET', 'v3/publicRooms'],
    ['GET', at`v3/user/${bob.userId}/rooms/${roomId}/account_data/m.fully_read`],
  ]
}

/** Where a reader waits for news, followed through all of the history. */
async function createFollower({ bob }: World): Promise<() => Promise<readonly JsonObject[]>> {
  const config = { timeline_limit: 100, required_state: { include: [{}] } }
  const sliding = (pos: JsonObject): Promise<JsonObject> =>
    bob.ok('POST', 'v4/sync', {
      body: { ...pos, ...HIDDEN, conn_id: 'live', lists: { all: { ...config, range: [0, 9] } } },
    })
  const query = { ...HIDDEN, filter: '{"room":{"include_leave":true,"timeline":{"limit":100}}}' }
  let sync = await bob.ok('GET', 'v3/sync', { query })
  let slid = await sliding({})
  let events = await bob.ok('GET', 'v3/events')
  return async () => {
    sync = await bob.ok('GET', 'v3/sync', { query: { ...query, since: text(sync, 'next_batch') } })
    slid = await sliding({ pos: text(slid, 'pos') })
    events = await bob.ok('GET', 'v3/events', { query: { from: text(events, 'end') } })
    return [sync, slid, events]
  }
}

/** The steps whose messages the reader comes upon by paging. */
async function paged({ bob, roomId }: World, dir: string): Promise<readonly number[]> {
  const query = { limit: '100', dir }
  const { body } = await bob.ask('GET', at`v3/rooms/${roomId}/messages`, { query })
  return marksIn(
    list(body, 'chunk').map((event) => pick(event, 'content', 'body') ?? null),
    ['text'],
  )
}

/** @throws when something is not told that should be. */
async function checkReadable(world: World, sight: Sight): Promise<void> {
  const { bob, roomId, messages } = world
  const { readable, state, membership, isForgotten } = sight
  const room = at`v3/rooms/${roomId}`
  for (const dir of ['b', 'f']) expect([dir, await paged(world, dir)]).toEqual([dir, readable])
  const byId: number[] = []
  const byContext: number[] = []
  for (const [step, id] of messages.entries()) {
    if ((await bob.ask('GET', `${room}/event/${encodeURIComponent(id)}`)).status === 200) byId.push(step)
    if ((await bob.ask('GET', `${room}/context/${encodeURIComponent(id)}`)).status === 200)
      byContext.push(step)
  }
  expect(['event', byId]).toEqual(['event', readable])
  expect(['context', byContext]).toEqual(['context', readable])
  const found = await bob.ask('GET', `${room}/state/${TYPE}`)
  expect(['state', found.status === 200 ? marksIn(found.body, ['state']) : undefined]).toEqual([
    'state',
    state === undefined ? undefined : [state],
  ])
  if (membership !== 'join' || isForgotten) return
  const search_categories = { room_events: { search_term: NEEDLE, filter: { limit: 100 } } }
  const hits = marksIn(await bob.ok('POST', 'v3/search', { body: { search_categories } }), ['text'])
  expect(['search', hits]).toEqual(['search', readable])
}

/** Times lead to nothing that may not be read. */
async function checkTimes(
  { bob, roomId, times, messages, replies }: World,
  { readable }: Sight,
): Promise<void> {
  const room = at`v1/rooms/${roomId}`
  for (const ts of times)
    for (const dir of ['f', 'b']) {
      const query = { ts: String(ts), dir }
      const { status, body } = await bob.ask('GET', `${room}/timestamp_to_event`, { query })
      if (status !== 200) continue
      const id = text(body, 'event_id')
      const step = Math.max(messages.indexOf(id), replies.indexOf(id))
      expect(step === -1 || readable.includes(step)).toBe(true)
    }
}

async function play(history: History, place: 'here' | 'away'): Promise<void> {
  const world = await createWorld(history.visibility, place)
  const follow = await createFollower(world)
  for (const [index, step] of history.steps.entries()) {
    await take(world, step)
    await world.settle()
    await tell(world, index)
    await world.settle()
    const sight = sightAfter(history, index + 1)
    for (const [way, answer] of (await follow()).entries()) {
      checkSecrets(`news ${way} of step ${index}`, answer, sight)
      if (sight.membership === 'join' && !sight.isForgotten)
        expect([way, marksIn(answer, ['text']).includes(index)]).toEqual([way, true])
    }
  }
  const sight = sightAfter(history, history.steps.length)
  for (const [method, path, init] of allRequests(world)) {
    const { body } = await world.bob.ask(method, path, init)
    checkSecrets(`${method} ${path} ${JSON.stringify(init?.query ?? {})}`, body, sight)
  }
  await checkTimes(world, sight)
  if (place === 'here') await checkReadable(world, sight)
  // A node that was not in the room all the time may know less than there is to read; what all members share it asks for.
  else if (history.visibility === 'shared' && sight.membership === 'join' && history.steps.at(-1) === 'wait')
    expect(await paged(world, 'b')).toEqual(sight.readable)
  for (const node of world.nodes) await node.close()
}

const CASES = HISTORIES.map((history) => [history.visibility, history.steps.join(', '), history] as const)

describe('what may be read of a room', () => {
  it.each(CASES)('that was made %s: %s', (_, __, history) => play(history, 'here'))

  // A node knocks on rooms of others only with a member in them. What all the world may read has nothing to hide.
  it.each(CASES.filter(([rule, , { steps }]) => !steps.includes('knock') && rule !== 'world_readable'))(
    'of another node, that was made %s: %s',
    (_, __, history) => play(history, 'away'),
  )
})
