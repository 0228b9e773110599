/** A libp2p node that speaks the mailbox protocol and nothing else: what a load of many costs least with. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import { noise } from '@libp2p/noise'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createFrameChannel, decodeRefusal, MAILBOX_PROTOCOL, MailboxFrame } from '@plexus/p2p/wire'
import type { FrameChannel } from '@plexus/p2p/wire'
import { createLibp2p } from 'libp2p'

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
