/**
 * One attacker's process: floods the relay at a multiaddr with what its first argument names, from `address`, as fast as it can, until it
 * is killed. Counts on standard output. `node flooder.fixture.ts <kind> <multiaddr> <name> <address>`
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { ServerName } from '@plexus/core'
import { encodeCursor, encodeDeposit, MailboxFrame as K, sendMessage } from '@plexus/p2p/wire'
import { newAccount } from '../kit/p2p.ts'
import { connectMailPeer, type MailPeer, type MailStream } from './mail-peer.ts'
import { registrationOf } from './mail-registration.ts'

/** Connections with a stream each, and what is under way on each. */
const STREAMS = 32
const UNDER_WAY = 64
/** Connections that are kept open and say nothing, and that are made at once. */
const HELD = 6_000
const AT_ONCE = 200

const [, , kind = '', multiaddr = '', name = '', address = ''] = process.argv
const [, host = '', port = ''] = /^\/ip4\/([^/]+)\/tcp\/(\d+)\//.exec(multiaddr) ?? []
const recipient = name as ServerName
const text = new TextEncoder()

let count = 0
setInterval(() => count > 0 && console.log(count), 500)
process.on('uncaughtException', () => undefined)

const dial = (): Socket => {
  const socket = connect({ host, port: Number(port), localAddress: address })
  socket.on('error', () => undefined)
  return socket
}

/** The relay as seen from `address`: libp2p chooses no address of its own. */
async function openWay(): Promise<string> {
  const server = createServer((near) => {
    near.on('error', () => undefined)
    const far = dial()
    near.pipe(far).pipe(near)
    far.once('close', () => near.destroy())
    near.once('close', () => far.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return multiaddr.replace(port, String((server.address() as AddressInfo).port))
}

function mail(accessKey: string, to: ServerName): Parameters<typeof encodeDeposit>[0] {
  const bytes = crypto.getRandomValues(new Uint8Array(8_192))
  const expires = Date.now() + 86_400_000
  return { mail: { recipient: to, lane: 'events', keyId: 'k1', expires, bytes }, access: { accessKey } }
}

const deposit = (stream: MailStream, to: ServerName): Promise<string> =>
  stream.ask((channel, id) => sendMessage(channel, K.deposit, id, encodeDeposit(mail('A'.repeat(43), to))))

type Ask = (stream: MailStream, peer: MailPeer) => Promise<string>
const frame =
  (frameKind: number, body: Uint8Array): Ask =>
  (stream) =>
    stream.ask((channel, id) => channel.send(frameKind, id, body))

const ASKS: Readonly<Record<string, Ask>> = {
  deposits: (stream) => deposit(stream, recipient),
  'deposits for nobody': (stream) => deposit(stream, newAccount().name),
  registrations: (stream, { peerId }) => {
    const body = registrationOf(newAccount(), peerId)
    return stream.ask((channel, id) => channel.send(K.register, id, body))
  },
  'oversized records': frame(K.register, new Uint8Array(65_000).fill(0x7b)),
  claims: frame(K.ask, text.encode(JSON.stringify({ recipient, user: `@a:${name}`, devices: ['A'] }))),
  fetches: frame(K.fetch, encodeCursor(0)),
}

/** Asks over one connection after another, for as long as each is let. */
async function askAlways(way: string, ask: Ask): Promise<void> {
  for (;;) {
    const peer = await connectMailPeer(way).catch(() => undefined)
    if (peer === undefined) continue
    const stream = await peer.stream().catch(() => undefined)
    let isOpen = stream !== undefined
    const work = async (): Promise<void> => {
      while (isOpen && stream !== undefined) {
        const answer = await ask(stream, peer)
        count += 1
        isOpen &&= /^[a-z-]+$/.test(answer)
      }
    }
    await Promise.all(Array.from({ length: UNDER_WAY }, work))
    await peer[Symbol.asyncDispose]()
  }
}

async function openStreams(way: string): Promise<void> {
  for (;;) {
    const peer = await connectMailPeer(way).catch(() => undefined)
    const open = async (): Promise<void> => {
      while (peer !== undefined && (await peer.stream().catch(() => undefined)) !== undefined) count += 1
    }
    await Promise.all(Array.from({ length: UNDER_WAY }, open))
    await peer?.[Symbol.asyncDispose]()
  }
}

/** Holds as many connections as it is let, half of them with half a request. */
async function holdConnections(): Promise<void> {
  const held = new Set<Socket>()
  for (;;) {
    for (let n = 0; n < AT_ONCE && held.size < HELD; n += 1) {
      const socket = dial()
      held.add(socket)
      if (n % 2 === 0) socket.write('GET / HTTP/1.1\r\nHost: x\r\n')
      socket.once('connect', () => (count += 1))
      socket.once('close', () => held.delete(socket))
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Shakes hands and goes. */
async function shakeHands(way: string): Promise<void> {
  for (;;) {
    const peer = await connectMailPeer(way).catch(() => undefined)
    count += Number(peer !== undefined)
    await peer?.[Symbol.asyncDispose]()
  }
}

const repeated = (work: () => Promise<void>): Promise<unknown> =>
  Promise.all(Array.from({ length: STREAMS }, work))

const ask = ASKS[kind]
if (kind === 'connections') await holdConnections()
else {
  const way = await openWay()
  if (kind === 'handshakes') await repeated(() => shakeHands(way))
  else if (kind === 'streams') await repeated(() => openStreams(way))
  else if (ask !== undefined) await repeated(() => askAlways(way, ask))
}
