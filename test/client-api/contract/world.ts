/** The people and the room that all parts of the contract share, on nodes of whatever platform it runs on. */
import type { JsonObject } from '@plexus/core'
import type { WebPages } from '@plexus/engine/ports'
import { expect } from 'vitest'
import { clientOf, createApiClient, text, type ApiClient, type Coverage } from '../../kit/api-client.ts'
import { createRoom, say, sharedRoom } from '../../kit/rooms.ts'
import type { VirtualClock } from '../../kit/virtual-clock.ts'
import { createNetwork, type NodesInit, type TestNetwork } from '../../kit/whole-node.ts'
import { AS_TOKEN, appServices } from './bridge.ts'

/** Where the nodes run. */
export type Platform = { readonly clock: VirtualClock; readonly initOf: NodesInit }

export const coverage: Coverage = new Map()
export let network: TestNetwork
/** Administers her node. */
export let alice: ApiClient
export let bob: ApiClient
/** Is in no room. */
export let carol: ApiClient
export let nobody: ApiClient
/** The application service of Alice's node, as its own user. */
export let bridge: ApiClient
/** Alice's, with Bob in it. */
export let roomId: string
export let messageId: string

export const UNKNOWN_ROOM = `!${'A'.repeat(43)}`
export const UNKNOWN_EVENT = `$${'A'.repeat(43)}`
export const PASSWORD = 'correct horse battery'
/** The only page that the nodes can read. */
export const PAGE = 'https://page.example/'
/** The device of each newcomer. */
export const DEVICE = 'PHONE'

const webPages: WebPages = {
  read: (url) => Promise.resolve(url === PAGE ? { properties: { 'og:title': 'A page' } } : 'refused'),
}

const turn = { uris: ['turn:turn.example'], secret: 'secret-of-the-turn-server', lifetimeSeconds: 3_600 }

export async function begin({ clock, initOf }: Platform): Promise<void> {
  network = await createNetwork(['alice', 'bob', 'carol'], clock, async (index) => ({
    ...(await initOf(index)),
    ...(index > 0 ? {} : { appServices, webPages, users: { admins: ['alice'], turn } }),
  }))
  const [first, second, third] = network.members
  if (first === undefined || second === undefined || third === undefined) throw new Error('three members')
  alice = await clientOf(first, coverage)
  bob = await clientOf(second, coverage)
  carol = await clientOf(third, coverage)
  nobody = withToken(undefined)
  bridge = withToken(AS_TOKEN)
  roomId = await sharedRoom(network, alice, bob, { name: 'Kitchen' })
  messageId = await say(alice, roomId, 'hello')
  await network.settle()
}

/** A client of Alice's node. */
export function withToken(accessToken: string | undefined, userId = alice.userId): ApiClient {
  const [first] = network.members
  if (first === undefined) throw new Error('there is no node')
  return createApiClient(first.node.clientApi, { userId, accessToken }, coverage)
}

/** A room of Alice alone; no two are made in the same millisecond. */
export async function ownRoom(body: JsonObject = {}): Promise<string> {
  await network.clock.advance(1)
  return createRoom(alice, body)
}

/** Somebody new on Alice's node, with a password. */
export async function newcomer(username: string): Promise<ApiClient> {
  const body = { auth: { type: 'm.login.dummy' }, username, password: PASSWORD, device_id: DEVICE }
  const session = await nobody.ok('POST', 'v3/register', { body })
  const userId = text(session, 'user_id') as ApiClient['userId']
  return withToken(text(session, 'access_token'), userId)
}

/** Asks for what needs the password once more, and gives it when it is asked for. */
export async function proven(
  client: ApiClient,
  method: string,
  path: string,
  body: JsonObject = {},
): Promise<JsonObject> {
  const asked = await client.ask(method, path, { body })
  expect(asked).toMatchObject({ status: 401, body: { flows: [{ stages: ['m.login.password'] }] } })
  const identifier = { type: 'm.id.user', user: client.userId }
  const session = text(asked.body, 'session')
  const auth = { type: 'm.login.password', identifier, password: PASSWORD, session }
  return client.ok(method, path, { body: { ...body, auth } })
}
