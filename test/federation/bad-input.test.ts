/** Forged, replayed, oversized and mis-signed requests on each endpoint: refused with the specification's error, quietly. */
import type { JsonValue } from '@plexus/core'
import type { EnvelopedRequest } from '@plexus/engine/ports'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createFakePeer, type FakePeer, type RawRequest } from '../kit/fake-peer.ts'
import { createTestNode, type TestNode } from '../kit/node.ts'
import { createLoopback } from '../kit/loopback.ts'
import { createVirtualClock } from '../kit/virtual-clock.ts'

const ROOM = encodeURIComponent('!AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA')
const EVENT = encodeURIComponent(`$${'B'.repeat(43)}`)
const USER = encodeURIComponent('@somebody:example.org')
const F1 = '/_matrix/federation/v1'
const F2 = '/_matrix/federation/v2'

const ENDPOINTS: readonly (readonly [method: string, uri: string])[] = [
  ['PUT', `${F1}/send/1`],
  ['GET', `${F1}/make_join/${ROOM}/${USER}?ver=12`],
  ['GET', `${F1}/make_leave/${ROOM}/${USER}`],
  ['GET', `${F1}/make_knock/${ROOM}/${USER}?ver=12`],
  ['PUT', `${F2}/send_join/${ROOM}/${EVENT}`],
  ['PUT', `${F2}/send_leave/${ROOM}/${EVENT}`],
  ['PUT', `${F1}/send_knock/${ROOM}/${EVENT}`],
  ['PUT', `${F1}/invite/${ROOM}/${EVENT}`],
  ['PUT', `${F2}/invite/${ROOM}/${EVENT}`],
  ['PUT', `${F1}/exchange_third_party_invite/${ROOM}`],
  ['POST', `${F1}/get_missing_events/${ROOM}`],
  ['GET', `${F1}/backfill/${ROOM}?limit=10&v=${EVENT}`],
  ['GET', `${F1}/event/${EVENT}`],
  ['GET', `${F1}/state/${ROOM}?event_id=${EVENT}`],
  ['GET', `${F1}/state_ids/${ROOM}?event_id=${EVENT}`],
  ['GET', `${F1}/event_auth/${ROOM}/${EVENT}`],
  ['GET', `${F1}/timestamp_to_event/${ROOM}?ts=1&dir=f`],
  ['GET', `${F1}/hierarchy/${ROOM}`],
  ['GET', `${F1}/publicRooms`],
  ['POST', `${F1}/publicRooms`],
  ['GET', `${F1}/query/profile?user_id=${USER}`],
  ['GET', `${F1}/query/directory?room_alias=%23a%3Aexample.org`],
  ['GET', `${F1}/user/devices/${USER}`],
  ['POST', `${F1}/user/keys/query`],
  ['POST', `${F1}/user/keys/claim`],
  ['GET', `${F1}/media/download/abc`],
  ['GET', `${F1}/media/thumbnail/abc?width=32&height=32`],
]

/** Bodies that are no body of any endpoint. */
const NONSENSE: readonly JsonValue[] = [
  7,
  'text',
  [],
  [[]],
  { pdus: 7, edus: {}, device_keys: [], one_time_keys: 'x', latest_events: {}, event: [], room_version: 7 },
  { pdus: Array.from({ length: 51 }, () => ({})), edus: [] },
  { pdus: [], edus: Array.from({ length: 101 }, () => ({})) },
  { latest_events: Array.from({ length: 101 }, () => 'x'), earliest_events: [], limit: -1 },
  { event: {}, room_version: '99'.repeat(99), invite_room_state: Array.from({ length: 65 }, () => ({})) },
]

describe('bad input', () => {
  const clock = createVirtualClock()
  let loopback: ReturnType<typeof createLoopback>
  let node: TestNode
  let mallory: FakePeer
  let other: FakePeer

  beforeEach(async () => {
    loopback = createLoopback({ clock })
    node = await createTestNode({ loopback, clock, seed: 1 })
    mallory = createFakePeer({ loopback, clock, seed: 2 })
    other = createFakePeer({ loopback, clock, seed: 3 })
  })
  afterEach(async () => {
    expect(node.complaints.filter((line) => line.startsWith('error'))).toEqual([])
    await node.close()
  })

  const request = ([method, uri]: (typeof ENDPOINTS)[number], content?: JsonValue): RawRequest =>
    method === 'GET' ? { method, uri } : { method, uri, content: content ?? {} }

  it.each(ENDPOINTS)('forged, of another or for another: %s %s', async (...endpoint) => {
    const good = await mallory.enclose(node.name, request(endpoint))
    const foreign = await other.enclose(node.name, request(endpoint))
    const forOther = await mallory.enclose(other.name, request(endpoint))
    const origin = other.name
    const bad: readonly EnvelopedRequest[] = [
      { ...good, request: { ...good.request, signatures: {} } },
      { ...good, request: { ...good.request, signatures: foreign.request.signatures } },
      { ...good, request: { ...good.request, origin } },
      {
        ...good,
        request: {
          ...good.request,
          uri: `${good.request.uri}${good.request.uri.includes('?') ? '&' : '?'}more=1`,
        },
      },
      { ...good, request: { ...good.request, content: { more: 1 } } },
      { ...good, envelope: foreign.envelope },
      { ...good, signature: foreign.signature },
      { ...good, envelope: { ...good.envelope, expires: good.envelope.expires + 1 } },
      { ...forOther, request: { ...forOther.request, destination: node.name } },
    ]
    for (const each of bad) {
      const { status, body } = await mallory.bring(each)
      // What has no signature of its origin is no signed request.
      expect([
        [401, 'M_UNAUTHORIZED'],
        [400, 'M_BAD_JSON'],
      ]).toContainEqual([status, body['errcode']])
    }
    // None of them has used up the honest one.
    const { status } = await mallory.bring(good)
    expect(status).not.toBe(401)
    expect(node.complaints.length).toBeLessThanOrEqual(1)
  })

  it.each(ENDPOINTS)('nonsense: %s %s', async (method, uri) => {
    if (method === 'GET') {
      for (const query of ['', '?limit=-1&v=x&event_id=&ts=x&dir=up&width=0', `?v=${'x'.repeat(2_000)}`]) {
        const { status, body } = await mallory.ask(node.name, { method, uri: `${uri.split('?')[0]}${query}` })
        expect(status).toBeLessThan(500)
        if (status !== 200) expect(body['errcode']).toMatch(/^M_/)
      }
      return
    }
    for (const content of NONSENSE) {
      const { status, body } = await mallory.ask(node.name, { method, uri, content })
      expect(status).toBeLessThan(500)
      if (status !== 200) expect(body['errcode']).toMatch(/^M_/)
    }
  })

  it('too large', async () => {
    const content = { text: 'x'.repeat(13 * 1024 * 1024) }
    const { status, body } = await mallory.ask(node.name, { method: 'PUT', uri: `${F1}/send/1`, content })
    expect([status, body['errcode']]).toEqual([413, 'M_TOO_LARGE'])
  })

  it('what was captured is processed once', async () => {
    for (const endpoint of ENDPOINTS) {
      const enclosed = await mallory.enclose(node.name, request(endpoint))
      const first = await mallory.bring(enclosed)
      const again = await mallory.bring(enclosed)
      // Some may come again: they change nothing twice.
      if (again.status !== 401) expect([again.status, again.body]).toEqual([first.status, first.body])
    }
  })
})
