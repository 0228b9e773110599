/** Two servers without an engine: real keys, real signatures, and services that say what they were asked. */
import { ed25519 } from '@noble/curves/ed25519.js'
import type { EventId, JsonValue, KeyId, Pdu, ServerName, StateMap, UserId } from '@plexus/core'
import { encodeBase64, signingBytes, withSignature } from '@plexus/core'
import { join, createTestRoom, type TestRoom } from '@plexus/core/testing'
import {
  envelopeBytes,
  keyOfName,
  nameOfKey,
  requestBytes,
  requestHash,
  verifyEd25519,
} from '@plexus/core/names'
import type {
  EventRecord,
  Inbound,
  OpenId,
  RoomDirectory,
  RoomSnapshot,
  Rooms,
  ServerKeys,
  UserQueries,
} from '@plexus/engine'
import type {
  Carrier,
  CarrierResponse,
  Clock,
  EnvelopedRequest,
  InboundHandler,
  Signer,
  Verifier,
} from '@plexus/engine/ports'
import { CarrierError } from '@plexus/engine/ports'
import { createServerApi, type ServerApiDeps } from '../server-api.ts'

/** The same `seed` gives the same key. */
export function testSigner(seed: number): Signer {
  const secret = new Uint8Array(32).fill(seed)
  const publicKey = ed25519.getPublicKey(secret)
  return {
    name: nameOfKey(publicKey),
    keyId: 'ed25519:1',
    publicKey,
    sign: async (bytes) => ed25519.sign(bytes, secret),
  }
}

const testVerifier: Verifier = {
  verify: async (checks) =>
    checks.map(({ publicKey, message, signature }) => verifyEd25519(publicKey, message, signature)),
}

/** Those of key names. */
const nameKeys: ServerKeys = {
  lookup: async (wanted) => wanted.map(({ server }) => keyOfName(server) ?? 'unknown'),
  watch: () => () => undefined,
  own: async () => ({}),
  notarised: async () => [],
}

export const START: number = Date.UTC(2026, 10, 20)

export type TestClock = Clock & { advance(ms: number): void }

export function testClock(): TestClock {
  let now = START
  return {
    now: () => now,
    after: () => () => undefined,
    advance(ms) {
      now += ms
    },
  }
}

/** Notes every call; a method that the test did not expect throws. */
function recording<T extends object>(part: string, calls: string[], methods: Partial<T>): T {
  const known = methods as Readonly<Record<string, unknown>>
  return new Proxy({} as T, {
    get: (_, name) => {
      const method = known[String(name)]
      return (...args: readonly unknown[]) => {
        calls.push(`${part}.${String(name)}`)
        if (typeof method !== 'function') throw new Error(`${part}.${String(name)} was not expected`)
        return (method as (...args: readonly unknown[]) => unknown)(...args)
      }
    },
  })
}

export type FakeMethods = {
  readonly rooms?: Partial<Rooms>
  readonly inbound?: Partial<Inbound>
  readonly queries?: Partial<UserQueries>
  readonly roomDirectory?: Partial<RoomDirectory>
  readonly openId?: Partial<OpenId>
}

export type FakeServer = {
  readonly handle: InboundHandler
  /** What the services were asked, as `rooms.receive`. */
  readonly calls: string[]
  readonly logged: string[]
}

export function fakeServer(
  name: ServerName,
  clock: Clock,
  methods: FakeMethods,
  more: Partial<ServerApiDeps> = {},
): FakeServer {
  const calls: string[] = []
  const logged: string[] = []
  const handle = createServerApi({
    serverName: name,
    rooms: recording<Rooms>('rooms', calls, methods.rooms ?? {}),
    inbound: recording<Inbound>('inbound', calls, methods.inbound ?? {}),
    queries: recording<UserQueries>('queries', calls, methods.queries ?? {}),
    openId: recording<OpenId>('openId', calls, methods.openId ?? {}),
    roomDirectory: recording<RoomDirectory>('roomDirectory', calls, methods.roomDirectory ?? {}),
    verifier: testVerifier,
    keys: nameKeys,
    clock,
    random: { bytes: (length) => new Uint8Array(length).fill(7) },
    log: { log: (level, message) => void logged.push(`${level} ${message}`) },
    heard: () => undefined,
    software: { name: 'Plexus', version: '1.0' },
    ...more,
  })
  return { handle, calls, logged }
}

/** Brings requests to one handler as the wire would: everything becomes text on the way. `sent` keeps them. */
export function directCarrier(handle: InboundHandler, sent: EnvelopedRequest[] = []): Carrier {
  return {
    async send(request) {
      sent.push(request)
      return handle(JSON.parse(JSON.stringify(request)) as EnvelopedRequest)
    },
  }
}

/** Answers everything alike; `undefined` is a peer that is not there. */
export function answeringCarrier(
  response: CarrierResponse | undefined,
  sent: EnvelopedRequest[] = [],
): Carrier {
  return {
    async send(request) {
      sent.push(request)
      if (response === undefined) throw new CarrierError('unreachable', 'the peer is away')
      return response
    },
  }
}

export const jsonAnswer = (body: unknown, status = 200): CarrierResponse => ({
  status,
  contentType: 'application/json',
  body: new TextEncoder().encode(JSON.stringify(body)),
})

export const textOfAnswer = (response: CarrierResponse): string => new TextDecoder().decode(response.body)

export type TestRooms = {
  readonly room: TestRoom
  readonly snapshot: RoomSnapshot
  /** The reading half of `Rooms`, for this one room. */
  readonly rooms: Partial<Rooms>
}

/** A public room of `creator` in which the given users are joined. */
export function testRooms(creator: UserId, members: readonly UserId[]): TestRooms {
  const room = createTestRoom({ creator })
  room.add(join(creator))
  room.add({ type: 'm.room.join_rules', sender: creator, stateKey: '', content: { join_rule: 'public' } })
  for (const user of members) room.add(join(user))
  const joinedServers = [creator, ...members].map((user) => user.slice(user.indexOf(':') + 1) as ServerName)
  const record = (id: EventId): EventRecord | undefined => {
    const pdu = room.view.get(id)?.pdu
    return (
      pdu && {
        id,
        roomId: room.roomId,
        pdu,
        verdict: 'accepted',
        generation: room.view.generation(id),
        basis: 'full',
        position: 1,
        receivedAt: START,
      }
    )
  }
  const snapshot: RoomSnapshot = {
    roomId: room.roomId,
    version: room.version,
    create: room.create.pdu,
    heads: [],
    holes: [],
    state: room.state(),
    stateGroup: '1',
    lastPosition: 1,
    since: 0,
    joinedServers: [...new Set(joinedServers)].sort(),
    joinedMembers: [creator, ...members],
  }
  const rooms: Partial<Rooms> = {
    snapshot: async (roomId) => (roomId === room.roomId ? { ...snapshot, state: room.state() } : undefined),
    event: async (id) => record(id),
    events: async (ids) => ids.map(record),
  }
  return { room, snapshot, rooms }
}

/** The event with its sender's server's signature. */
export async function signPdu(room: TestRoom, pdu: Pdu, signer: Signer): Promise<Pdu> {
  const signature = await signer.sign(signingBytes(room.version, pdu))
  return withSignature(pdu, signer.name, signer.keyId as KeyId, encodeBase64(signature))
}

export function pdusOf(room: TestRoom, state: StateMap): readonly Pdu[] {
  return [...state.values()].flatMap((id) => room.view.get(id)?.pdu ?? [])
}

export const INCARNATION: string = 'A'.repeat(22)

export type Raw = { readonly method: string; readonly uri: string; readonly content?: JsonValue }
export type RawOptions = {
  readonly destination: ServerName
  readonly origin?: ServerName
  readonly sequence?: number
  readonly expires?: number
}

/** A request that nobody's client would necessarily make, signed all the same. */
export async function signRaw(signer: Signer, raw: Raw, options: RawOptions): Promise<EnvelopedRequest> {
  const { origin = signer.name, destination, sequence, expires = START + 60_000 } = options
  const unsigned = { ...raw, origin, destination }
  const fields = { requestHash: requestHash(unsigned), incarnation: INCARNATION, expires }
  const envelope = sequence === undefined ? fields : { ...fields, sequence }
  const own = encodeBase64(await signer.sign(requestBytes(unsigned)))
  return {
    request: { ...unsigned, signatures: { [origin]: { [signer.keyId]: own } } },
    envelope,
    signature: encodeBase64(await signer.sign(envelopeBytes(envelope))),
  }
}
