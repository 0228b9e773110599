/** A libp2p node that speaks the mailbox protocol and nothing else: what a load of many costs least with. */
import { randomBytes } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { noise } from '@libp2p/noise'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import type { ServerName } from '@plexus/core'
import {
  createFrameChannel,
  decodeRefusal,
  encodeDeposit,
  MAILBOX_PROTOCOL,
  MailboxFrame,
  sendMessage,
} from '@plexus/p2p/wire'
import type { FrameChannel } from '@plexus/p2p/wire'
import { createLibp2p } from 'libp2p'
import { ACCESS_KEY } from './mail-registration.ts'

const DAY_MS = 24 * 3_600_000
export const MAIL_BYTES: number = 4_096 + 48

/** A mailbox stream. */
export type MailStream = {
  /** Sends a question, and resolves with the relay's word on it: `done`, or why not. */
  ask(send: (channel: FrameChannel, id: number) => void): Promise<string>
  /** Set to be told of mail. */
  announced: () => void
  close(): void
}

export interface MailPeer extends AsyncDisposable {
  readonly peerId: string
  stream(): Promise<MailStream>
}

/** Connects to the relay at `address`, under an identity of its own. */
export async function connectMailPeer(address: string): Promise<MailPeer> {
  const node = await createLibp2p({
    privateKey: await generateKeyPair('Ed25519'),
    transports: [webSockets()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
    connectionMonitor: { enabled: false },
  })
  const connection = await node.dial(multiaddr(address))
  return {
    peerId: node.peerId.toString(),
    async stream() {
      const waiting = new Map<number, (answer: string) => void>()
      let lastId = 0
      const channel = createFrameChannel(await connection.newStream(MAILBOX_PROTOCOL), {
        frame({ kind, id, body }) {
          if (kind === MailboxFrame.announce) stream.announced()
          const answer = kind === MailboxFrame.done ? 'done' : decodeRefusal(body)?.code
          if (kind !== MailboxFrame.done && kind !== MailboxFrame.refuse) return
          waiting.get(id)?.(answer ?? 'nonsense')
          waiting.delete(id)
        },
        writable: () => undefined,
        closed(reason) {
          for (const settle of waiting.values()) settle(reason)
        },
      })
      const stream: MailStream = {
        ask(send) {
          lastId += 1
          const id = lastId
          send(channel, id)
          return new Promise((resolve) => waiting.set(id, resolve))
        },
        announced: () => undefined,
        close: () => channel.close('closed'),
      }
      return stream
    },
    async [Symbol.asyncDispose]() {
      await node.stop()
    },
  }
}

/** Leaves a mail with somebody. */
export function depositTo(stream: MailStream, recipient: ServerName): Promise<string> {
  const mail = {
    recipient,
    lane: 'events' as const,
    keyId: 'k1',
    expires: Date.now() + DAY_MS,
    bytes: new Uint8Array(randomBytes(MAIL_BYTES)),
  }
  const message = encodeDeposit({ mail, access: { accessKey: ACCESS_KEY } })
  return stream.ask((channel, id) => sendMessage(channel, MailboxFrame.deposit, id, message))
}
