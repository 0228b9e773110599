import { generateKeyPair } from '@libp2p/crypto/keys'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { encodeBase64Url } from '@plexus/core'
import type { MailboxAddress } from '@plexus/core/names'
import { CarrierError, type Clock, type Log, type SealedMail, type ShelfAnswer } from '@plexus/engine/ports'
import { createLibp2p, type Libp2p } from 'libp2p'
import { isDirectAddress, peerIdOf } from './addresses.ts'
import { errorText } from './error-text.ts'
import type { Gater } from './gater.ts'
import { createMailboxClient, type MailboxClient } from './mailbox-client.ts'
import type { Platform } from './platform.ts'
import { createProver } from './prove.ts'
import { MAILBOX_PROTOCOL, type MailAccess } from './wire/mailbox.ts'
import type { ShelfQuestion } from './wire/shelf.ts'

/** Throw-away nodes at once: each has a connection and some hundred kilobytes. */
const MAX_DEPOSITORS = 16
/** Deposits that wait for one of them. */
const MAX_WAITING_DEPOSITS = 512
/**
 * Milliseconds that a throw-away node is kept for the next mail to the same mailbox. One that ends together with its node tells
 * the relay whose it was, and a page may be closed soon after a message.
 */
const DEPOSITOR_IDLE_MS = 3_000
/** Addresses of one relay that are tried, and milliseconds for each. */
const MAX_ADDRESSES = 4
const DIAL_MS = 10_000

export type DepositorsDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly platform: Platform
  readonly gater: Gater
}

/**
 * Leaves mail at relays. Invariant: no two recipients, and no two relays, see the same libp2p identity, and none of them
 * that of this node.
 */
export interface Depositors extends AsyncDisposable {
  /** As the port says. @throws MailError, CarrierError */
  deposit(mailbox: MailboxAddress, mail: SealedMail, accessKey: string | undefined): Promise<number>
  /** As the port says. @throws MailError, CarrierError */
  ask(mailbox: MailboxAddress, question: ShelfQuestion): Promise<ShelfAnswer>
}

type Depositor = {
  readonly client: Promise<MailboxClient>
  /** Deposits under way. */
  users: number
  cancelIdle: () => void
  stop(): Promise<void>
}

export function createDepositors(deps: DepositorsDeps): Depositors {
  const { clock, log, gater } = deps
  /** By recipient and relay, the one used last at the end. */
  const depositors = new Map<string, Depositor>()
  const stopping = new Set<Promise<void>>()
  const stopped = new AbortController()
  let waiting: (() => void)[] = []
  const prover = createProver(clock, stopped.signal)

  function end(key: string, depositor: Depositor): void {
    if (depositors.get(key) !== depositor) return
    depositors.delete(key)
    depositor.cancelIdle()
    const task = depositor
      .stop()
      .catch((error: unknown) =>
        log.log('debug', 'a throw-away node did not stop', { error: errorText(error) }),
      )
      .finally(() => stopping.delete(task))
    stopping.add(task)
    waiting.shift()?.()
  }

  /** The one for this mailbox, counted as in use, when there is a place for it. @throws CarrierError when too many wait */
  async function obtain(key: string, mailbox: MailboxAddress): Promise<Depositor> {
    for (;;) {
      if (stopped.signal.aborted) throw new CarrierError('unreachable', 'the node stops')
      const idle = [...depositors].find(([, { users }]) => users === 0)
      const isFull = !depositors.has(key) && depositors.size >= MAX_DEPOSITORS
      if (!isFull || idle !== undefined) {
        if (isFull && idle !== undefined) end(...idle)
        const depositor = depositors.get(key) ?? start(key, mailbox)
        depositor.cancelIdle()
        depositor.users += 1
        depositors.delete(key)
        depositors.set(key, depositor)
        return depositor
      }
      if (waiting.length >= MAX_WAITING_DEPOSITS)
        throw new CarrierError('unreachable', 'too much mail is on its way')
      await new Promise<void>((resolve) => waiting.push(resolve))
    }
  }

  async function using<T>(
    key: string,
    mailbox: MailboxAddress,
    work: (client: MailboxClient) => Promise<T>,
  ): Promise<T> {
    const depositor = await obtain(key, mailbox)
    try {
      return await work(await depositor.client)
    } finally {
      depositor.users -= 1
      if (depositor.users === 0 && depositors.get(key) === depositor) {
        depositor.cancelIdle = clock.after(DEPOSITOR_IDLE_MS, () => end(key, depositor))
        waiting.shift()?.()
      }
    }
  }

  function start(key: string, mailbox: MailboxAddress): Depositor {
    let node: Libp2p | undefined
    const open = async (): Promise<MailboxClient> => {
      node = await startThrowAway(deps)
      const stream = await dial(node, gater, mailbox)
      const client = createMailboxClient(
        { clock, announced: () => undefined, closed: () => end(key, depositor) },
        stream,
      )
      await client.hello
      return client
    }
    const client = open().catch((error: unknown) => {
      end(key, depositor)
      if (error instanceof CarrierError) throw error
      throw new CarrierError('unreachable', errorText(error), { cause: error })
    })
    client.catch(() => undefined)
    const depositor: Depositor = {
      client,
      users: 0,
      cancelIdle: () => undefined,
      async stop() {
        await client.then(
          (opened) => opened.close(),
          () => undefined,
        )
        await node?.stop()
      },
    }
    depositors.set(key, depositor)
    return depositor
  }

  async function accessOf(
    client: MailboxClient,
    relay: string,
    mail: SealedMail,
    accessKey: string | undefined,
  ): Promise<MailAccess> {
    if (accessKey !== undefined) return { accessKey }
    const { proofBits } = await client.hello
    const digest = await crypto.subtle.digest('SHA-256', Uint8Array.from(mail.bytes))
    const subject = { relay, recipient: mail.recipient, mailHash: encodeBase64Url(new Uint8Array(digest)) }
    return { proof: await prover.prove(subject, proofBits) }
  }

  return {
    deposit(mailbox, mail, accessKey) {
      const relay = mailbox.peerId
      return using(`${mail.recipient} ${relay}`, mailbox, async (client) => {
        const access = await accessOf(client, relay, mail, accessKey)
        await client.deposit({ mail, access })
        return (await client.hello).retentionMs
      })
    },
    ask: (mailbox, question) =>
      using(`${question.recipient} ${mailbox.peerId}`, mailbox, (client) => client.ask(question)),
    async [Symbol.asyncDispose]() {
      stopped.abort(new CarrierError('unreachable', 'the node stops'))
      for (const wake of waiting.splice(0)) wake()
      for (const entry of depositors) end(...entry)
      await Promise.all(stopping)
    },
  }
}

/** A libp2p node that dials once: it listens nowhere and says nothing of itself. */
async function startThrowAway({ platform, gater }: DepositorsDeps): Promise<Libp2p> {
  return createLibp2p({
    privateKey: await generateKeyPair('Ed25519'),
    addresses: { listen: [] },
    transports: platform.dialTransports,
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: gater.connectionGater,
    connectionManager: { maxConnections: 2, reconnectRetries: 0, dialTimeout: DIAL_MS, resolvers: {} },
    connectionMonitor: { enabled: false },
    nodeInfo: { userAgent: 'plexus' },
  })
}

async function dial(
  node: Libp2p,
  gater: Gater,
  { peerId, multiaddrs }: MailboxAddress,
): Promise<Parameters<typeof createMailboxClient>[1]> {
  const addresses = multiaddrs
    .map((address) => (peerIdOf(address) === undefined ? `${address}/p2p/${peerId}` : address))
    .filter((address) => peerIdOf(address) === peerId && isDirectAddress(address) && gater.allows(address))
  let failure: unknown = new CarrierError('unreachable', 'no address of the relay may be dialled')
  for (const address of addresses.slice(0, MAX_ADDRESSES)) {
    try {
      return await node.dialProtocol(multiaddr(address), MAILBOX_PROTOCOL, {
        signal: AbortSignal.timeout(DIAL_MS),
      })
    } catch (error) {
      failure = error
    }
  }
  throw failure
}
