/** A node with a user who has everything that endpoints speak of, others who share rooms with them, and the words of all that. */
import { createClientApi, UNLIMITED, type ClientApi } from '@plexus/client-api'
import type { JsonObject } from '@plexus/core'
import { at, createApiClient, list, text, type ApiClient } from './api-client.ts'
import type { HostileRequest, Vocabulary } from './hostile-requests.ts'
import { quickKeys } from './keys.ts'
import { createLoopback } from './loopback.ts'
import { createTestNode, quiet, type TestNode } from './node.ts'
import { createRoom, say } from './rooms.ts'
import { createVirtualClock, settled } from './virtual-clock.ts'

const PASSWORD = 'correct horse'
const DEVICE = 'DEVICE'
/** Turns of the event loop that a request gets before time goes on. */
const TURNS = 50
const STEP_MS = 5_000
/** The longest that a client may ask to wait is two minutes. */
const LIMIT_MS = 180_000
/** Of the machine, for what the platform does. */
const PATIENCE_MS = 10_000

export interface FuzzWorld {
  /** The node that is asked. */
  readonly node: TestNode
  /** Who asks: an administrator of the node, with a room in which Carol is and another one in which Bob is. */
  readonly mallory: ApiClient
  readonly token: string
  readonly vocabulary: Vocabulary
  /** On the same node. */
  readonly carol: ApiClient
  /** On another node. */
  readonly bob: ApiClient
  now(): number
  /** Time passes as long as there is no answer. @throws when that takes too long. */
  send(request: HostileRequest): Promise<Response>
  settle(): Promise<void>
  restart(): Promise<void>
  close(): Promise<void>
}

export async function createFuzzWorld(): Promise<FuzzWorld> {
  const clock = createVirtualClock()
  const loopback = createLoopback({ clock })
  const users = { admins: ['mallory', 'carol'], registration: { mode: 'open', stages: [] } } as const
  let node = await createTestNode({ loopback, clock, seed: 1, users, keys: quickKeys(1) })
  const other = await createTestNode({ loopback, clock, seed: 2, keys: quickKeys(2) })
  let api: ClientApi = createClientApi(node.engine, { rateLimits: UNLIMITED })
  const serve: ClientApi = (request) => api(request)
  const settle = (): Promise<void> => quiet(loopback, [node, other])

  const carol = createApiClient(serve, await node.signUp('carol'))
  const { userId: dave } = await node.signUp('dave')
  const bob = createApiClient(other.clientApi, await other.signUp('bob'))
  const session = await node.engine.users.accounts.register(
    { localpart: 'mallory', password: PASSWORD },
    { deviceId: DEVICE, refreshable: true },
  )
  const { accessToken: token } = session
  const mallory = createApiClient(serve, session)
  const roomId = await createRoom(mallory, {
    name: 'Here',
    room_alias_name: 'here',
    invite: [carol.userId, dave],
  })
  await carol.ok('POST', at`v3/join/${roomId}`, { body: {} })
  await clock.advance(1)
  const far = await createRoom(mallory, { name: 'There', preset: 'public_chat' })
  await bob.ok('POST', at`v3/join/${far}`, { query: { via: node.name }, body: {} })
  await settle()
  const eventId = await say(mallory, roomId, 'hello')
  const me = at`v3/user/${mallory.userId}`
  const filter = text(await mallory.ok('POST', `${me}/filter`, { body: {} }), 'filter_id')
  for (const path of [`${me}/account_data/x`, `${me}${at`/rooms/${roomId}`}/account_data/x`])
    await mallory.ok('PUT', path, { body: { a: 1 } })
  await mallory.ok('PUT', `${me}${at`/rooms/${roomId}`}/tags/u.x`, { body: {} })
  await mallory.ok('PUT', 'v3/pushrules/global/override/x', { body: { actions: [], conditions: [] } })
  await mallory.ok('POST', at`v3/rooms/${roomId}/ban`, { body: { user_id: `@nobody:${node.name}` } })
  await mallory.ok('POST', 'v3/room_keys/version', {
    body: {
      algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2',
      auth_data: { public_key: 'x', signatures: {} },
    },
  })
  const sync = await mallory.ok('GET', 'v3/sync')
  const page = await mallory.ok('GET', at`v3/rooms/${roomId}/messages`, { query: { dir: 'b', limit: '2' } })
  const media = async (method: string, path: string, body: string): Promise<string> => {
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'text/plain' }
    const response = await serve(new Request(`http://node/_matrix/media/${path}`, { method, headers, body }))
    return text((await response.json()) as JsonObject, 'content_uri')
  }

  return {
    get node() {
      return node
    },
    mallory,
    token,
    carol,
    bob,
    vocabulary: wordsOf({
      me: mallory.userId,
      users: [carol.userId, dave, bob.userId, `@nobody:${node.name}`],
      rooms: [roomId, roomId, far, `!${'A'.repeat(43)}`],
      alias: `#here:${node.name}`,
      events: [eventId, ...list(page, 'chunk').map((event) => text(event, 'event_id'))],
      tokens: [text(sync, 'next_batch'), text(page, 'end')],
      servers: [node.name, node.name, other.name, 'nowhere.example'],
      media: [await media('POST', 'v3/upload', 'hello'), await media('POST', 'v1/create', '')],
      filter,
      refresh: session.refresh?.token ?? '',
    }),
    now: () => clock.now(),
    settle,
    async send({ method, target, headers, body }) {
      const init = { method, headers, ...(body === undefined ? {} : { body }) }
      let isAnswered = false
      const asked = serve(new Request(new URL(target, 'http://node'), init)).finally(
        () => (isAnswered = true),
      )
      // Time stands while the node works. What it has the platform do, such as hashes, takes longer than its own turns.
      for (let waited = 0; waited <= LIMIT_MS; waited += STEP_MS) {
        for (let turn = 0; turn < TURNS && !isAnswered; turn += 1) await settled()
        if (isAnswered) return asked
        await clock.advance(STEP_MS)
      }
      const hanging = Promise.withResolvers<never>()
      const timer = setTimeout(() => hanging.reject(new Error('no answer in three minutes')), PATIENCE_MS)
      return Promise.race([asked, hanging.promise]).finally(() => clearTimeout(timer))
    },
    async restart() {
      await settle()
      node = await node.restart()
      api = createClientApi(node.engine, { rateLimits: UNLIMITED })
    },
    async close() {
      await node.close()
      await other.close()
    },
  }
}

type Words = {
  readonly me: string
  readonly users: readonly string[]
  readonly rooms: readonly string[]
  readonly alias: string
  readonly events: readonly string[]
  readonly tokens: readonly string[]
  readonly servers: readonly string[]
  /** Uploaded, and to be uploaded. */
  readonly media: readonly string[]
  readonly filter: string
  readonly refresh: string
}

function wordsOf(words: Words): Vocabulary {
  const { me, rooms, alias, events, tokens, servers, media, filter, refresh } = words
  // What is right more often than not stands there more often.
  const users = [me, me, me, me, ...words.users]
  const [carol = ''] = words.users
  const mediaIds = media.map((uri) => uri.split('/').at(-1) ?? '')
  const [eventId = ''] = events
  const named = (text: string): readonly string[] => text.split(' ').map((name) => `m.room.${name}`)
  const eventTypes = [
    ...named(
      'message name topic member power_levels join_rules history_visibility canonical_alias server_acl',
    ),
    ...named('tombstone create encryption third_party_invite pinned_events'),
    'm.space.child',
    'm.reaction',
    'x',
  ]
  const data = ['m.ignored_user_list', 'm.push_rules', 'm.direct', 'm.fully_read', 'm.tag', 'x']
  const relation = (type: string): string =>
    `{"msgtype":"m.text","body":"x","m.relates_to":{"rel_type":"${type}","event_id":"${eventId}","key":"k","is_falling_back":true}}`
  const room = rooms[0] ?? ''
  const contents = [
    '{}',
    '{"msgtype":"m.text","body":"hello"}',
    '{"name":"New","topic":"New"}',
    '{"displayname":"M"}',
    ...['m.thread', 'm.replace', 'm.annotation', 'm.reference'].map(relation),
    ...['join', 'leave', 'ban', 'invite', 'knock'].map((membership) => `{"membership":"${membership}"}`),
    ...['invited', 'joined', 'world_readable'].map((rule) => `{"history_visibility":"${rule}"}`),
    `{"users":{"${me}":100,"${carol}":"50"},"events":{"x":1.0}}`,
    '{"users_default":9007199254740991}',
    `{"alias":"${alias}"}`,
    `{"alt_aliases":["${alias}"]}`,
    '{"allow":["*"],"deny":[1]}',
    '{"via":["x"]}',
    '{"algorithm":"m.megolm.v1.aes-sha2"}',
    '{"replacement_room":"!x","body":""}',
    '{"pinned":[null]}',
    `{"ignored_users":{"${carol}":{}}}`,
    `{"${carol}":["${room}"]}`,
    '{"global":{"override":[]}}',
    `{"join_rule":"restricted","allow":[{"type":"m.room_membership","room_id":"${room}"}]}`,
  ]
  const identifier = `{"type":"m.id.user","user":"${me}"}`
  const auth = `{"type":"m.login.password","password":"${PASSWORD}","identifier":${identifier}}`
  const keys = [`ed25519:${DEVICE}`, `curve25519:${DEVICE}`, 'signed_curve25519:AAAAAQ', 'ed25519:x']
  const devices = [DEVICE, '*', 'OTHER']
  const pusher =
    '"kind":"http","app_id":"a","pushkey":"k","app_display_name":"A","device_display_name":"D","lang":"en"'
  return {
    '/_matrix/client/v3/login{}': [auth],
    '/_matrix/client/v3/pushers/set{}': [
      `{${pusher},"data":{"url":"https://push.example/_matrix/push/v1/notify"}}`,
    ],
    '/_matrix/client/v3/profile/{userId}/{keyName}{}': ['{"displayname":"M"}', '{"m.tz":"Europe/Paris"}'],
    roomid: rooms,
    roomidoralias: [...rooms, alias],
    roomalias: [
      alias,
      ...['#new', '#newer'].map((name) => `${name}:${servers[0] ?? ''}`),
      '#x:nowhere.example',
    ],
    roomaliasname: ['new', alias],
    eventid: [...events, `$${'A'.repeat(43)}`],
    userid: users,
    user: users,
    username: ['fresh', 'carol'],
    invite: words.users,
    senders: users,
    notsenders: users,
    rooms,
    notrooms: rooms,
    'rooms*': [...rooms, 'm.x'],
    servername: servers,
    server: servers,
    via: servers,
    mediaid: [...mediaIds, 'x'],
    url: [...media, 'http://127.0.0.1/', 'https://nowhere.example/x'],
    avatarurl: media,
    eventtype: eventTypes,
    types: [...eventTypes, '*', 'm.room.*'],
    nottypes: [...eventTypes, '*'],
    type: [
      ...eventTypes,
      ...data,
      'x',
      'x',
      'm.login.password',
      'm.login.password',
      'm.login.token',
      'm.id.user',
      'm.room_key_request',
    ],
    statekey: ['', '', '', '', ...users],
    content: ['{}'],
    'content{}': contents,
    '{}': contents,
    'actions{}': ['["notify"]', '[]', '[{"set_tweak":"sound","value":"x"}]', '["dont_notify"]'],
    from: tokens,
    since: tokens,
    to: tokens,
    at: tokens,
    nextbatch: tokens,
    filter: [filter, '{}'],
    filterid: [filter, '0'],
    membership: ['join', 'leave', 'invite', 'ban', 'knock'],
    notmembership: ['join', 'leave'],
    dir: ['b', 'f'],
    ts: ['0', '1795219200000'],
    kind: ['override', 'underride', 'content', 'room', 'sender', 'user', 'guest', 'http'],
    'data{}': ['{"url":"https://push.example/_matrix/push/v1/notify","format":"event_id_only"}', '{}'],
    'identifier{}': [identifier, '{"type":"m.id.thirdparty"}'],
    ruleid: ['.m.rule.master', '.m.rule.message', 'x', ...rooms, ...users],
    receipttype: ['m.read', 'm.read.private', 'm.fully_read'],
    reltype: ['m.thread', 'm.replace', 'm.annotation', 'm.reference'],
    keyname: ['displayname', 'displayname', 'avatar_url', 'm.tz', 'x'],
    sessionid: ['x', 'y'],
    tag: ['m.favourite', 'u.x'],
    deviceid: devices,
    devices,
    version: ['1', '2'],
    newversion: ['11', '12', '1', '99'],
    roomversion: ['11', '12', '1', '99'],
    algorithm: ['m.megolm_backup.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
    algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
    'auth{}': [auth, auth, auth, '{}', '{"session":"x"}', '{"type":"m.login.dummy"}'],
    password: [PASSWORD, 'wrong'],
    newpassword: ['battery staple 9'],
    refreshtoken: [refresh, 'x'],
    token: ['x'],
    'messages*': users,
    'messages**': devices,
    'onetimekeys*': [...keys, ...users],
    'onetimekeys**': devices,
    'fallbackkeys*': keys,
    'devicekeys*': users,
    'signatures*': users,
    'signatures**': keys,
    'keys*': keys,
    '*': [...users, ...rooms],
    '**': [...devices, ...keys],
    usage: ['master', 'self_signing', 'user_signing'],
    presence: ['online', 'offline', 'unavailable'],
    preset: ['private_chat', 'public_chat', 'trusted_private_chat'],
    searchterm: ['hello', 'he llo'],
    keys: ['content.body', 'content.name', 'content.topic'],
    orderby: ['recent', 'rank'],
    redirecturl: ['https://app.example/'],
    pos: ['0', 'x'],
    include: ['all', 'participated'],
    only: ['highlight'],
    method: ['crop', 'scale'],
  }
}
