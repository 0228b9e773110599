import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeBase64, encodeBase64Url, type JsonValue, type ServerName } from '@plexus/core'
import { type Certificate, certificateBytes, envelopeBytes, nameOfKey, requestHash } from '@plexus/core/names'
import type { CarrierResponse, Clock, EnvelopedRequest, Log, Random } from '@plexus/engine/ports'
import {
  generateTransportKey,
  type KnownPeer,
  type P2pEvent,
  type P2pNode,
  type PeerMemory,
} from '@plexus/p2p'
import { createP2pNode, nodePlatform, type NodePlatformInit } from '@plexus/p2p/node'
import { createRelay, loadRelayIdentity, type Relay, type RelayDeps, type RelayInit } from '@plexus/relay'

export const realClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

const systemRandom: Random = { bytes: (length) => new Uint8Array(randomBytes(length)) }

/** Lines as they were logged; printed when PLEXUS_LOG is set. */
export function collectingLog(label: string): Log & { readonly lines: string[] } {
  const lines: string[] = []
  return {
    lines,
    log(level, message, fields) {
      const line = `${label} ${level} ${message} ${JSON.stringify(fields ?? {})}`
      lines.push(line)
      if (process.env['PLEXUS_LOG'] !== undefined) console.error(new Date().toISOString().slice(17, 23), line)
    },
  }
}

/** A name key of an account. */
export type Account = { readonly name: ServerName; sign(bytes: Uint8Array): Uint8Array }

export function newAccount(): Account {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
  return { name: nameOfKey(new Uint8Array(raw)), sign: (bytes) => signWith(privateKey, bytes) }
}

function signWith(key: KeyObject, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, bytes, key))
}

const HOUR_MS = 3_600_000

/** A certificate signed by `account`; `change` makes it a wrong one. */
export function certify(account: Account, peerId: string, change: Partial<Certificate> = {}) {
  const now = Date.now()
  const certificate: Certificate = {
    name: account.name,
    peerId,
    notBefore: now,
    expires: now + 24 * HOUR_MS,
    ...change,
  }
  return { certificate, signature: encodeBase64(account.sign(certificateBytes(certificate))) }
}

/** A request as the engine would sign it. */
export function signedRequest(
  from: Account,
  destination: ServerName,
  content: JsonValue = {},
): EnvelopedRequest {
  const unsigned = {
    method: 'PUT',
    uri: '/_matrix/federation/v1/send/1',
    origin: from.name,
    destination,
    content,
  }
  const signature = encodeBase64(from.sign(new TextEncoder().encode('not checked by carriers')))
  const envelope = {
    requestHash: requestHash(unsigned),
    incarnation: encodeBase64Url(randomBytes(16)),
    expires: Date.now() + HOUR_MS,
  }
  return {
    request: { ...unsigned, signatures: { [from.name]: { 'ed25519:1': signature } } },
    envelope,
    signature: encodeBase64(from.sign(envelopeBytes(envelope))),
  }
}

function jsonResponse(value: JsonValue): CarrierResponse {
  return {
    status: 200,
    contentType: 'application/json',
    body: new TextEncoder().encode(JSON.stringify(value)),
  }
}

export function jsonOf(response: CarrierResponse): JsonValue {
  return JSON.parse(new TextDecoder().decode(response.body)) as JsonValue
}

export type TestNode = {
  readonly account: Account
  readonly node: P2pNode
  readonly events: P2pEvent[]
  readonly log: { readonly lines: string[] }
  readonly saved: KnownPeer[]
}

export type TestNodeInit = {
  readonly label?: string
  readonly account?: Account
  readonly transportKey?: Uint8Array
  readonly relays?: readonly string[]
  readonly mailTokens?: Readonly<Record<string, string>>
  readonly platform?: NodePlatformInit
  readonly memory?: PeerMemory
  readonly lan?: boolean
  readonly certify?: (account: Account, peerId: string) => ReturnType<typeof certify>
  readonly clock?: Clock
}

/** A node in this process; without more it can be dialled through relays only. */
export async function startNode(init: TestNodeInit = {}): Promise<TestNode> {
  const account = init.account ?? newAccount()
  const log = collectingLog(init.label ?? account.name.slice(-4))
  const saved: KnownPeer[] = []
  const memory: PeerMemory = init.memory ?? {
    load: () => Promise.resolve([...saved]),
    save(peers) {
      saved.splice(0, saved.length, ...peers)
      return Promise.resolve()
    },
  }
  const node = await createP2pNode(
    {
      platform: nodePlatform({ webrtc: false, ...init.platform }),
      clock: init.clock ?? realClock,
      log,
      random: systemRandom,
      memory,
      certify: (peerId) => Promise.resolve((init.certify ?? certify)(account, peerId)),
    },
    {
      transportKey: init.transportKey ?? (await generateTransportKey()),
      relays: init.relays ?? [],
      lan: init.lan ?? true,
      mailTokens: init.mailTokens ?? {},
    },
  )
  node.onRequest(({ request }) =>
    Promise.resolve(jsonResponse({ by: account.name, got: request.content ?? null })),
  )
  const events: P2pEvent[] = []
  node.watch((event) => events.push(event))
  return { account, node, events, log, saved }
}

/** Two nodes that know each other's names and, with `address`, where to find them. */
export async function introduce(a: TestNode, b: TestNode): Promise<void> {
  await a.node.directory.learn({ name: b.account.name, multiaddrs: await b.node.directory.own() })
}

export type TestRelay = {
  readonly relay: Relay
  readonly server: Server
  readonly url: string
  readonly addresses: readonly string[]
  /** What it logged. */
  readonly lines: readonly string[]
  /** Once; later calls do nothing. */
  stop(): Promise<void>
}

/**
 * A relay in this process, with an identity in `folder`. Without WebRTC-Direct: node-datachannel may crash when a
 * process starts a second listener after it stopped one, which a relay of its own process never does.
 */
export async function startRelayHere(
  folder: string,
  port = 0,
  {
    records,
    ...more
  }: Pick<RelayInit, 'circuitBytes' | 'clientOf' | 'mail' | 'peers'> & Pick<RelayDeps, 'records'> = {},
): Promise<TestRelay> {
  const server = createServer((_request, response) => response.end('page'))
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const log = collectingLog('relay')
  const relay = await createRelay(
    { clock: realClock, log, ...(records && { records }) },
    {
      identity: await loadRelayIdentity(folder, Date.now()),
      server,
      publicUrl: url,
      lan: true,
      ...more,
    },
  )
  let stopped = false
  return {
    relay,
    server,
    url,
    addresses: relay.multiaddrs(url),
    lines: log.lines,
    async stop() {
      if (stopped) return
      stopped = true
      await relay[Symbol.asyncDispose]()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'plexus-test-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** Waits until `check` answers something true. */
export async function eventually<T>(
  check: () => T | undefined | false,
  what: string,
  ms = 20_000,
): Promise<T> {
  const end = Date.now() + ms
  for (;;) {
    const value = check()
    if (value !== undefined && value !== false) return value
    if (Date.now() > end) throw new Error(`not in ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
