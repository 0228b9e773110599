import { encodeBase64, encodeBase64Url, type JsonValue, type ServerName } from '@plexus/core'
import { certificateBytes, envelopeBytes, nameOfKey, requestHash } from '@plexus/core/names'
import type { Clock, EnvelopedRequest } from '@plexus/engine/ports'
import { generateTransportKey, type KnownPeer, type NetworkStatus, type P2pNode } from '@plexus/p2p'
import { browserPlatform, createP2pNode } from '@plexus/p2p/browser'

/** What the test calls in the page. */
export type P2pPage = {
  /** A new account on a new node at the relays. */
  start(relays: readonly string[]): Promise<{ name: ServerName; peerId: string }>
  stop(): Promise<void>
  want(names: readonly ServerName[]): void
  status(): NetworkStatus
  /** Sends text; resolves with the answer and the milliseconds that it took. */
  send(to: ServerName, text: string): Promise<{ answer: string; ms: number }>
  /** Texts that came. */
  received(): readonly string[]
  log(): readonly string[]
}

const HOUR_MS = 3_600_000
const clock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}
const random = { bytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)) }

type Running = {
  readonly node: P2pNode
  readonly name: ServerName
  sign(bytes: Uint8Array): Promise<string>
}

let running: Running | undefined
const received: string[] = []
const lines: string[] = []

async function newSigner(): Promise<Pick<Running, 'name' | 'sign'>> {
  const keys = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])
  const name = nameOfKey(new Uint8Array(await crypto.subtle.exportKey('raw', keys.publicKey)))
  return {
    name,
    sign: async (bytes) =>
      encodeBase64(
        new Uint8Array(await crypto.subtle.sign('Ed25519', keys.privateKey, new Uint8Array(bytes))),
      ),
  }
}

async function request(
  signer: Running,
  destination: ServerName,
  content: JsonValue,
): Promise<EnvelopedRequest> {
  const unsigned = {
    method: 'PUT',
    uri: '/_matrix/federation/v1/send/1',
    origin: signer.name,
    destination,
    content,
  }
  const envelope = {
    requestHash: requestHash(unsigned),
    incarnation: encodeBase64Url(random.bytes(16)),
    expires: Date.now() + HOUR_MS,
  }
  return {
    request: {
      ...unsigned,
      signatures: { [signer.name]: { 'ed25519:1': await signer.sign(new Uint8Array(1)) } },
    },
    envelope,
    signature: await signer.sign(envelopeBytes(envelope)),
  }
}

function node(): Running {
  if (running === undefined) throw new Error('not started')
  return running
}

const page: P2pPage = {
  async start(relays) {
    const signer = await newSigner()
    let known: readonly KnownPeer[] = []
    const started = await createP2pNode(
      {
        platform: browserPlatform(),
        clock,
        random,
        log: {
          log: (level, message, fields) => lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`),
        },
        memory: {
          load: () => Promise.resolve(known),
          save(peers) {
            known = peers
            return Promise.resolve()
          },
        },
        async certify(peerId) {
          const now = Date.now()
          const certificate = { name: signer.name, peerId, notBefore: now, expires: now + 24 * HOUR_MS }
          return { certificate, signature: await signer.sign(certificateBytes(certificate)) }
        },
      },
      { transportKey: await generateTransportKey(), relays },
    )
    started.onRequest(async (incoming) => {
      const text = JSON.stringify(incoming.request.content)
      received.push(text)
      return { status: 200, contentType: 'application/json', body: new TextEncoder().encode(text) }
    })
    running = { ...signer, node: started }
    return { name: signer.name, peerId: started.peerId }
  },
  async stop() {
    await running?.node[Symbol.asyncDispose]()
    running = undefined
  },
  want: (names) => node().node.want(names),
  status: () => node().node.status,
  async send(to, text) {
    const self = node()
    const signed = await request(self, to, { text })
    const before = performance.now()
    const response = await self.node.carrier.send(signed, { timeoutMs: 10_000 })
    return { answer: new TextDecoder().decode(response.body), ms: performance.now() - before }
  },
  received: () => received,
  log: () => lines,
}

Object.assign(window, { p2p: page })
