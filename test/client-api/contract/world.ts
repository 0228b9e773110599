/** The people and the room that all parts of the contract share. */
import type { JsonObject } from '@plexus/core'
import { clientOf, createApiClient, type ApiClient, type Coverage } from '../../kit/api-client.ts'
import { createTestNetwork, type TestNetwork } from '../../kit/node.ts'
import { createRoom, say, sharedRoom } from '../../kit/rooms.ts'

export const coverage: Coverage = new Map()
export let network: TestNetwork
export let alice: ApiClient
export let bob: ApiClient
/** Is in no room. */
export let carol: ApiClient
export let nobody: ApiClient
/** Alice's, with Bob in it. */
export let roomId: string
export let messageId: string

export const UNKNOWN_ROOM = `!${'A'.repeat(43)}`
export const UNKNOWN_EVENT = `$${'A'.repeat(43)}`

export async function begin(): Promise<void> {
  network = await createTestNetwork(['alice', 'bob', 'carol'])
  const [first, second, third] = network.members
  if (first === undefined || second === undefined || third === undefined) throw new Error('three members')
  alice = await clientOf(first, coverage)
  bob = await clientOf(second, coverage)
  carol = await clientOf(third, coverage)
  nobody = createApiClient(first.node.clientApi, { userId: alice.userId, accessToken: undefined }, coverage)
  roomId = await sharedRoom(network, alice, bob, { name: 'Kitchen' })
  messageId = await say(alice, roomId, 'hello')
  await network.settle()
}

/** A room of Alice alone; no two are made in the same millisecond. */
export async function ownRoom(body: JsonObject = {}): Promise<string> {
  await network.clock.advance(1)
  return createRoom(alice, body)
}
