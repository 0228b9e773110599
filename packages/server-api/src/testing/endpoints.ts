/** What the tests of the endpoints share: three servers, a room of two of them, and attacks that fit every endpoint. */
import type { EventId, JsonObject, RoomId, UserId } from '@plexus/core'
import type { Spec, TestRoom } from '@plexus/core/testing'
import type { RoomDirectory, Rooms } from '@plexus/engine'
import type { Signer } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import {
  fakeServer,
  signRaw,
  testClock,
  testRooms,
  testSigner,
  textOfAnswer,
  type FakeMethods,
  type Raw,
} from './fixtures.ts'

export const alice: Signer = testSigner(1)
/** The server that is asked. */
export const bob: Signer = testSigner(2)
/** Has no member in the room. */
export const carol: Signer = testSigner(3)
export const ALICE = `@alice:${alice.name}` as UserId
export const BOB = `@bob:${bob.name}` as UserId
export const CAROL = `@carol:${carol.name}` as UserId

const world = testRooms(BOB, [ALICE])
export const room: TestRoom = world.room
export const rooms: Partial<Rooms> = world.rooms
export const OTHER_ROOM = `!${'x'.repeat(43)}` as RoomId
export const OTHER_EVENT = `$${'y'.repeat(43)}` as EventId
/** An event of the room. */
export const anEvent = room.all()[1]?.id as EventId

export const V1 = '/_matrix/federation/v1'
export const V2 = '/_matrix/federation/v2'
export const enc = (text: string): string => encodeURIComponent(text)
/** The room's id in a path. */
export const ROOM: string = enc(room.roomId)

export type Made = { readonly id: EventId; readonly pdu: JsonObject }

/** An event of the room like `spec`, honestly hashed and not signed. It is not added to the room. */
export const build = (spec: Spec): Made => room.build(spec)

/** What somebody made of an event, under the event's id. */
export const eventOf = (change: (pdu: JsonObject) => JsonObject, { id, pdu }: Made): Made => ({
  id,
  pdu: change(pdu),
})

export const empties = (length: number): JsonObject[] => Array.from({ length }, () => ({}))
export const get = (uri: string): Raw => ({ method: 'GET', uri })

export type Wrong = readonly [label: string, raw: Raw, status: number, errcode: string]

export type Case = {
  readonly name: string
  readonly raw: Raw
  readonly methods: FakeMethods
  /** The call that does the work, the last one; empty when no service is asked. */
  readonly asks: string
  readonly answer: unknown
  readonly repeatable?: true
  /** Requests that are refused before the work is asked for. */
  readonly wrong: readonly Wrong[]
}

const roomDirectory: Partial<RoomDirectory> = {
  resolveLocal: async (alias: string) =>
    alias === `#room:${bob.name}` ? { roomId: room.roomId, servers: [bob.name] } : undefined,
}

export type Asked = {
  readonly status: number
  readonly body: unknown
  readonly calls: readonly string[]
}

export async function ask(methods: FakeMethods, raw: Raw, signer: Signer = alice, times = 1): Promise<Asked> {
  const { handle, calls, logged } = fakeServer(bob.name, testClock(), {
    ...methods,
    roomDirectory: { ...roomDirectory, ...methods.roomDirectory },
  })
  const request = await signRaw(signer, raw, { destination: bob.name })
  let response = await handle(request)
  for (let i = 1; i < times; i += 1) response = await handle(request)
  expect(logged).toEqual([])
  const body: unknown = response.contentType.startsWith('multipart/mixed')
    ? 'multipart'
    : JSON.parse(textOfAnswer(response))
  return { status: response.status, body, calls }
}

/** The endpoint answers an honest server, and refuses everybody who is not. */
export function describeCases(cases: readonly Case[]): void {
  describe.each(cases)('$name', ({ raw, methods, asks, answer, repeatable, wrong }) => {
    it('answers', async () => {
      const { status, body, calls } = await ask(methods, raw)
      expect(body).toEqual(answer)
      expect(status).toBe(200)
      if (asks !== '') expect(calls.at(-1)).toBe(asks)
    })

    it(repeatable === true ? 'answers a repeated request again' : 'refuses a repeated request', async () => {
      const { status } = await ask(methods, raw, alice, 2)
      expect(status).toBe(repeatable === true ? 200 : 401)
    })

    it.each(wrong)('refuses %s', async (_, hostile, status, errcode) => {
      const asked = await ask(methods, hostile)
      expect(asked).toMatchObject({ status, body: { errcode } })
      if (asks !== '') expect(asked.calls).not.toContain(asks)
    })
  })
}

/** A server without a member in the room learns nothing. */
export function describeMembersOnly(cases: readonly Case[]): void {
  it.each(cases)('$name tells nothing to a server without a member', async ({ raw, methods, asks }) => {
    const { status, body, calls } = await ask(methods, raw, carol)
    expect({ status, body }).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(calls).not.toContain(asks)
  })
}

const denied = testRooms(BOB, [ALICE])
denied.room.add({
  type: 'm.room.server_acl',
  sender: BOB,
  stateKey: '',
  content: { allow: ['*'], deny: [alice.name] },
})

/** The same services, but for a room whose server ACL denies Alice's server. */
export function withAcl(methods: FakeMethods): FakeMethods {
  return {
    ...methods,
    rooms: {
      ...methods.rooms,
      snapshot: async () => denied.rooms.snapshot?.(denied.room.roomId),
      event: async (id) => (await rooms.event?.(id)) ?? denied.rooms.event?.(id),
    },
  }
}

/** spec: server-server-api.md "Server Access Control Lists (ACLs)" */
export function describeAcl(cases: readonly Case[]): void {
  it.each(cases)('$name is closed to a server that the ACL denies', async ({ raw, methods, asks }) => {
    const { status, body, calls } = await ask(withAcl(methods), raw)
    expect({ status, body }).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(calls).not.toContain(asks)
  })
}
