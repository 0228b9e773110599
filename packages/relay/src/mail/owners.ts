import { decodeBase64, type ServerName } from '@plexus/core'
import { accountRecords, type SignedAccountRecord } from '@plexus/core/names'
import type { Clock, Log } from '@plexus/engine/ports'
import {
  certificateFault,
  decodeCursor,
  decodeRegistration,
  encodeKeptMail,
  encodeRefusal,
  MailboxFrame,
  MAX_DEVICES_PER_NAME,
  MAX_FETCH_BYTES,
  MAX_LAST_BYTES,
  MAX_LAST_MAILS,
  MAX_MAILS_PER_FETCH,
  sendMessage,
  WRITE_HIGH_WATER,
  type FrameChannel,
  type MailboxRefusal,
} from '@plexus/p2p/wire'
import { MAX_FETCH_BYTES_UNDER_WAY } from '../limits.ts'
import type { MailStore } from './mail-store.ts'
import { admits, type MailPolicy } from './policy.ts'

/** One mailbox stream. */
export type MailSession = {
  /** Proved by the transport. */
  readonly peerId: string
  readonly channel: FrameChannel
  /** When something came last. */
  heard: number
  /** Whose device this is, by a certificate that counts until `expires`. */
  owner: { readonly name: ServerName; readonly expires: number } | undefined
  /** Told that there is mail, and did not fetch since. */
  isAnnounced: boolean
  /** A fetch is being answered. */
  isFetching: boolean
  /** Bytes of answers that the stream has not taken yet, and what waits for that. */
  unsent: number
  room: (() => void) | undefined
  /** Called when the stream is gone: gives back what was held for it. */
  ended: () => void
}

export type OwnersDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly store: MailStore
  readonly policy: MailPolicy
}

type Outcome = Promise<MailboxRefusal | undefined>

export type RegistrationPlace = {
  /** Another mailbox may be made from there; asked once. */
  mayMake(): boolean
  /** This record is the mailbox's. */
  registered(record: SignedAccountRecord): void
}

/** The owners of mailboxes that are connected. Each proved its name, and is listed in the name's newest record. */
export interface Owners {
  /** How many streams, and how often one was told of mail. */
  readonly count: number
  readonly announced: number
  register(session: MailSession, body: Uint8Array, at: RegistrationPlace): Outcome
  fetch(session: MailSession, id: number, body: Uint8Array, end?: 'last'): Outcome
  acknowledge(session: MailSession, body: Uint8Array): Outcome
  /** The name that the session may act for now. */
  nameOf(session: MailSession): Promise<ServerName | MailboxRefusal>
  /** Tells those of the name whose certificates last that there is mail. */
  announce(name: ServerName): void
  /** The session's stream has room again. */
  writable(session: MailSession): void
  forget(session: MailSession): void
}

const K = MailboxFrame
/** Of one answer to a fetch. */
const BOUNDS = { mails: MAX_MAILS_PER_FETCH, bytes: MAX_FETCH_BYTES }
const LAST_BOUNDS = { mails: MAX_LAST_MAILS, bytes: MAX_LAST_BYTES }

export function createOwners({ clock, log, store, policy }: OwnersDeps): Owners {
  const byName = new Map<ServerName, Set<MailSession>>()
  let announced = 0
  /** Bytes of answers that streams have not taken yet, and those streams. */
  let underWay = 0
  const holding = new Set<MailSession>()

  async function register(session: MailSession, body: Uint8Array, at: RegistrationPlace): Outcome {
    const registration = decodeRegistration(body)
    if (registration === undefined) return { code: 'nonsense' }
    const { certificate, record, token } = registration
    const { name, expires } = certificate.certificate
    const now = clock.now()
    const fault = certificateFault(certificate, session.peerId, now) ?? accountRecords.check(record, now)
    if (fault !== undefined || record.record.name !== name) {
      log.log('info', 'registration refused', { reason: fault ?? 'the record is of another name' })
      return { code: 'not-allowed' }
    }
    if (session.owner !== undefined && session.owner.name !== name) return { code: 'not-allowed' }
    const isNew = (await store.mailbox(name)) === undefined
    if (!admits(policy.registration, { name, token, isNew })) return { code: 'not-allowed' }
    if (!record.record.devices.includes(session.peerId)) return { code: 'not-allowed' }
    if (isNew && !at.mayMake()) return { code: 'too-fast' }
    const accessKeyHash = decodeBase64(registration.accessKeyHash) ?? new Uint8Array(0)
    const kept = await store.register({ record, accessKeyHash }, policy.maxMailboxes)
    if (kept === undefined) return { code: 'quota' }
    if (kept.record.signature !== record.signature) return { code: 'old-record', record: kept.record }
    at.registered(record)
    const others = byName.get(name) ?? new Set()
    for (const other of others) if (!record.record.devices.includes(other.peerId)) leave(other)
    if (!others.has(session) && others.size >= MAX_DEVICES_PER_NAME) return { code: 'quota' }
    if (!session.channel.open) return undefined
    // It was not told of what came meanwhile.
    const wasOver = session.owner !== undefined && session.owner.expires <= now
    session.owner = { name, expires }
    byName.set(name, others.add(session))
    if (wasOver) announceTo(session)
    return undefined
  }

  function announceTo(session: MailSession): void {
    if (session.isAnnounced || session.owner === undefined || session.owner.expires <= clock.now()) return
    session.isAnnounced = true
    announced += 1
    session.channel.send(K.announce, 0)
  }

  /** The device speaks for its name no more. */
  function leave(session: MailSession): void {
    session.channel.send(K.refuse, 0, encodeRefusal({ code: 'not-allowed' }))
    session.channel.close('the device is not in the record')
  }

  async function nameOf({ owner, peerId }: MailSession): Promise<ServerName | MailboxRefusal> {
    if (owner === undefined || owner.expires <= clock.now()) return { code: 'not-allowed' }
    const mailbox = await store.mailbox(owner.name)
    if (mailbox === undefined) return { code: 'unknown-recipient' }
    const { record } = mailbox
    return record.record.devices.includes(peerId) ? owner.name : { code: 'not-allowed', record }
  }

  async function fetch(session: MailSession, id: number, body: Uint8Array, end?: 'last'): Outcome {
    const cursor = decodeCursor(body)
    if (cursor === undefined) return { code: 'nonsense' }
    const name = await nameOf(session)
    if (typeof name === 'object') return name
    if (session.isFetching || !hasRoom()) return { code: 'too-fast' }
    session.isFetching = true
    try {
      settle(session)
      if (session.unsent > 0) await new Promise<void>((resolve) => (session.room = resolve))
      session.isAnnounced = false
      const mails = await store.fetch(name, cursor, end === 'last' ? LAST_BOUNDS : BOUNDS, end)
      if (!session.channel.open) return undefined
      for (const kept of mails) {
        session.unsent += kept.mail.bytes.length
        underWay += kept.mail.bytes.length
        sendMessage(session.channel, K.mail, id, encodeKeptMail(kept))
      }
      if (session.unsent > 0) holding.add(session)
      return undefined
    } finally {
      session.isFetching = false
    }
  }

  function settle(session: MailSession): void {
    if (session.channel.open && session.channel.backlog >= WRITE_HIGH_WATER) return
    underWay -= session.unsent
    session.unsent = 0
    holding.delete(session)
    session.room?.()
    session.room = undefined
  }

  function hasRoom(): boolean {
    if (underWay + MAX_FETCH_BYTES > MAX_FETCH_BYTES_UNDER_WAY) for (const session of holding) settle(session)
    return underWay + MAX_FETCH_BYTES <= MAX_FETCH_BYTES_UNDER_WAY
  }

  return {
    get count() {
      return [...byName.values()].reduce((sum, sessions) => sum + sessions.size, 0)
    },
    get announced() {
      return announced
    },
    register,
    fetch,
    nameOf,
    async acknowledge(session, body) {
      const cursor = decodeCursor(body)
      if (cursor === undefined) return { code: 'nonsense' }
      const name = await nameOf(session)
      if (typeof name === 'object') return name
      await store.acknowledge(name, session.peerId, cursor)
      return undefined
    },
    announce(name) {
      for (const session of byName.get(name) ?? []) announceTo(session)
    },
    writable: settle,
    forget(session) {
      settle(session)
      const name = session.owner?.name
      if (name === undefined) return
      const sessions = byName.get(name)
      sessions?.delete(session)
      if (sessions?.size === 0) byName.delete(name)
    },
  }
}
