import type { PeerId } from '@libp2p/interface'
import { MAX_MAILBOX_ADDRESSES, type MailboxAddress, type SignedAccountRecord } from '@plexus/core/names'
import {
  CarrierError,
  MailError,
  type Clock,
  type Log,
  type Mailboxes,
  type Random,
} from '@plexus/engine/ports'
import { createBackoff } from './backoff.ts'
import type { Depositors } from './depositors.ts'
import { errorText } from './error-text.ts'
import { createMailboxClient, type MailboxClient } from './mailbox-client.ts'
import type { ByteStream } from './wire/channel.ts'
import type { SignedCertificate } from './wire/hello.ts'

/** Milliseconds to wait before a mailbox stream to a connected relay is opened again: first and longest ceiling. */
const MAILBOX_BACKOFF = { firstMs: 1_000, maxMs: 300_000 } as const
const OPEN_MS = 10_000

export type MailboxesDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly random: Random
  readonly depositors: Depositors
  certificate(): Promise<SignedCertificate>
  /** Opens a mailbox stream to a connected relay. */
  open(relay: PeerId, signal: AbortSignal): Promise<ByteStream>
  /** A relay keeps this node's mail by a record, which others are to find. */
  registered(record: SignedAccountRecord): void
  /** For registering at a relay that asks for one. */
  token(relay: string): string | undefined
  /** There may be mail at a relay. */
  mail(relay: string): void
}

/** The mailboxes at the relays that are connected, and deposits at any. */
export interface OwnMailboxes extends Mailboxes, AsyncDisposable {
  /** A relay is connected, until the answer is called. `addresses`: its multiaddrs, best first. */
  connected(relay: PeerId, addresses: readonly string[]): () => void
  /** Tells the renewed certificate. */
  renew(): void
}

type Registration = { readonly record: SignedAccountRecord; readonly accessKeyHash: string }
type Session = { readonly address: MailboxAddress; readonly client: MailboxClient }

export function createMailboxes(deps: MailboxesDeps): OwnMailboxes {
  const { clock, log, depositors } = deps
  const sessions = new Map<string, Session>()
  /** Why a relay that is connected does not keep the mail of this device. */
  const refusals = new Map<string, MailError>()
  /** What was registered last at a relay: told again on each new stream. One for each configured relay. */
  const registrations = new Map<string, Registration>()

  function sessionAt(relay: string): Session {
    const session = sessions.get(relay)
    if (session === undefined) throw new CarrierError('unreachable', 'no mailbox at the relay is connected')
    return session
  }

  async function register(relay: string, registration: Registration): Promise<void> {
    const certificate = await deps.certificate()
    const token = deps.token(relay)
    const more = token === undefined ? {} : { token }
    await sessionAt(relay).client.register({ certificate, ...registration, ...more })
    refusals.delete(relay)
  }

  /** @throws what may pass by itself */
  async function registerAgain(relay: string): Promise<void> {
    const registration = registrations.get(relay)
    if (registration === undefined) return
    try {
      await register(relay, registration)
    } catch (error) {
      log.log('warn', 'the mailbox was not registered again', { relay, error: errorText(error) })
      // Later it may; what else the relay says against it, who fetches is told.
      if (!(error instanceof MailError) || error.code === 'too-fast') throw error
      refusals.set(relay, error)
    }
  }

  /** One life of a mailbox stream; resolves when it ended. */
  async function serve(relay: PeerId, address: MailboxAddress, signal: AbortSignal): Promise<void> {
    const { peerId } = address
    const stream = await deps.open(relay, AbortSignal.any([signal, AbortSignal.timeout(OPEN_MS)]))
    const ended = Promise.withResolvers<string>()
    const client = createMailboxClient(
      { clock, announced: () => deps.mail(peerId), closed: (reason) => ended.resolve(reason) },
      stream,
    )
    const onAbort = (): void => client.close()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await client.hello
      signal.throwIfAborted()
      sessions.set(peerId, { address, client })
      await registerAgain(peerId)
      deps.mail(peerId)
      log.log('debug', 'mailbox stream ended', { relay: peerId, reason: await ended.promise })
    } finally {
      if (sessions.get(peerId)?.client === client) sessions.delete(peerId)
      signal.removeEventListener('abort', onAbort)
      client.close()
    }
  }

  async function keep(relay: PeerId, address: MailboxAddress, signal: AbortSignal): Promise<void> {
    const backoff = createBackoff(clock, deps.random, MAILBOX_BACKOFF)
    while (!signal.aborted) {
      try {
        await serve(relay, address, signal)
        backoff.reset()
      } catch (error) {
        log.log('debug', 'no mailboxes at the relay', { relay: address.peerId, error: errorText(error) })
      }
      await backoff.wait(signal)
    }
  }

  return {
    relays: () => Promise.resolve([...sessions.values()].map(({ address }) => address)),
    async register(relay, registration) {
      await register(relay, registration)
      registrations.set(relay, registration)
      deps.registered(registration.record)
    },
    async fetch(relay, cursor, end) {
      const { client } = sessionAt(relay)
      const refusal = refusals.get(relay)
      if (refusal !== undefined) throw refusal
      const { name } = (await deps.certificate()).certificate
      return client.fetch(name, cursor, end)
    },
    async acknowledge(relay, cursor) {
      await sessionAt(relay).client.acknowledge(cursor)
    },
    deposit: (mailbox, mail, accessKey) => depositors.deposit(mailbox, mail, accessKey),
    async stock(relay, shelf, keys) {
      return sessionAt(relay).client.stock({ shelf, keys })
    },
    ask: (mailbox, name, { user, devices }) => depositors.ask(mailbox, { recipient: name, user, devices }),
    connected(relay, addresses) {
      const stop = new AbortController()
      const multiaddrs = addresses.slice(0, MAX_MAILBOX_ADDRESSES)
      void keep(relay, { peerId: relay.toString(), multiaddrs }, stop.signal)
      return () => stop.abort()
    },
    renew() {
      for (const relay of sessions.keys())
        registerAgain(relay).catch(() => sessions.get(relay)?.client.close())
    },
    async [Symbol.asyncDispose]() {
      await depositors[Symbol.asyncDispose]()
    },
  }
}
