/** The mail of a node: its mailboxes, its record, and what it fetches from there. What it leaves is the outbox's affair. */
import type { ServerName } from '@plexus/core'
import type { SignedAccountRecord } from '@plexus/core/names'
import { accountRecords } from '@plexus/core/names'
import type { Committer } from '../kernel/committer.ts'
import type { Outbox } from '../outbox-types.ts'
import type { Clock, Log, Mailboxes, MailHandler, Random, Sealer, Signer, Store } from '../ports.ts'
import { CarrierError, MailError } from '../ports.ts'
import type { KeyShelf } from '../users/types.ts'
import { loadAccount } from './account.ts'
import type { Contacts } from './contacts.ts'
import { loadContacts } from './contacts.ts'
import { createInbox } from './inbox.ts'
import { loadOwnMailboxes } from './own-mailboxes.ts'
import type { ReceivedQueue } from './received.ts'
import { loadReceivedQueue } from './received.ts'
import { createShelfKeeper } from './shelf-keeper.ts'
import { loadSealingKeys } from './sealing-keys.ts'
import { createTeller } from './tell.ts'

/** How often a node that is awake looks whether its record or key is due. */
const LOOK_INTERVAL_MS = 3_600_000
/** When a relay is asked again whose mail could not be taken whole. */
export const REST_INTERVAL_MS = 60_000
/** Times that a record is made anew, since a relay holds a newer one. */
const MAX_REGISTRATIONS = 3

export type MailDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly signer: Signer
  readonly sealer: Sealer
  readonly mailboxes: Mailboxes
  readonly find: (name: ServerName) => Promise<SignedAccountRecord | undefined>
  readonly publish: (record: SignedAccountRecord) => Promise<void>
  readonly sharesRoom: (name: ServerName) => boolean
  readonly outbox: () => Pick<Outbox, 'queueDurable'>
  /** The servers that share a room with a user of this node. */
  readonly peers: () => Promise<readonly ServerName[]>
  /** The keys of this node's users. */
  readonly keyShelf: () => KeyShelf
  /** There is something to tell to these. */
  readonly tell: (names: readonly ServerName[]) => void
}

/** To be told by the app, which has the transport. */
export interface Mail {
  /** The peer id of this device, for which certificates are made. */
  device(peerId: string): void
  /** From here on mail is fetched and handed to `handle`. */
  start(handle: MailHandler): void
  /** The relay has come up, or has announced mail. */
  arrived(relay: string): void
}

export interface MailOwner extends Mail {
  readonly contacts: Contacts
  readonly received: ReceivedQueue
  idle(): Promise<void>
  close(): void
}

export async function createMail(deps: MailDeps): Promise<MailOwner> {
  const { clock, log } = deps
  const received = await loadReceivedQueue(deps)
  const contacts = await loadContacts(deps)
  const keys = await loadSealingKeys(deps)
  const account = await loadAccount({ ...deps, keys })
  const own = await loadOwnMailboxes(deps)
  const inbox = createInbox({ ...deps, own, keys, received })
  const teller = createTeller({ ...deps, account })
  const running = new Set<Promise<void>>()
  /** The sequence of the record that each relay has got from this process. One for each relay that is configured. */
  const registered = new Map<string, number>()
  /** Relays whose mail could not be taken whole, by what cancels the next attempt. */
  const rests = new Map<string, () => void>()
  let handle: MailHandler | undefined
  let published = 0
  let closed = false

  /** One run at a time of each kind; what comes meanwhile makes one more. */
  const once = (work: () => Promise<void>): (() => void) => {
    let isRunning = false
    let again = false
    const start = (): void => {
      again = isRunning
      if (isRunning || closed) return
      isRunning = true
      const run = work()
        .catch((error: unknown) => log.log('warn', 'mail was not looked after', { error: String(error) }))
        .finally(() => {
          isRunning = false
          running.delete(run)
          if (again) start()
        })
      running.add(run)
    }
    return start
  }

  const register = async (relay: string): Promise<void> => {
    for (let attempt = 0; attempt < MAX_REGISTRATIONS; attempt += 1) {
      const { record, accessKeyHash } = account
      if (record === undefined || registered.get(relay) === record.record.sequence) return
      try {
        await deps.mailboxes.register(relay, { record, accessKeyHash })
        registered.set(relay, record.record.sequence)
        return await own.registered(relay)
      } catch (error) {
        const known = error instanceof MailError && error.code === 'old-record' ? error.record : undefined
        if (known === undefined || !isOwn(known)) throw error
        await account.renew(own.addresses(), known)
      }
    }
  }

  /** A store that was restored may have forgotten a record; a relay cannot make one up. */
  const isOwn = (signed: SignedAccountRecord): boolean =>
    signed.record.name === deps.signer.name && accountRecords.check(signed, clock.now()) === undefined

  const look = once(async () => {
    const connected = await deps.mailboxes.relays()
    await own.seen(connected)
    await account.renew(own.addresses())
    for (const { peerId } of connected) {
      if (own.get(peerId) === undefined) continue
      await register(peerId).catch((error: unknown) =>
        log.log('warn', 'a relay keeps no mailbox', { relay: peerId, error: String(error) }),
      )
      fetchFrom(peerId)
    }
    const sequence = account.record?.record.sequence ?? 0
    if (account.record !== undefined && sequence !== published) {
      published = sequence
      await deps
        .publish(account.record)
        .catch((error: unknown) =>
          log.log('debug', 'nobody took the account record', { error: String(error) }),
        )
    }
    teller.look()
    await keys.destroyOld(own.cleanSince)
  })

  const fetches = new Map<string, () => void>()
  const fetchFrom = (relay: string): void => {
    const fetch = fetches.get(relay) ?? once(() => drain(relay))
    fetches.set(relay, fetch)
    fetch()
  }
  const drain = async (relay: string): Promise<void> => {
    if (handle === undefined || !registered.has(relay)) return
    const isWhole = await inbox.drain(relay, handle).catch((error: unknown) => {
      log.log('debug', 'mail was not fetched', { relay, error: String(error) })
      // One that is out of reach says so when it comes up.
      return error instanceof CarrierError
    })
    if (isWhole) {
      // After the mail: it may hold what was made with the keys that a shelf gave out.
      await shelves.fill(relay).catch((error: unknown) => {
        log.log('info', 'a key shelf was not filled', { relay, error: String(error) })
      })
    } else if (!closed && !rests.has(relay)) {
      const fetchRest = (): void => {
        rests.delete(relay)
        fetchFrom(relay)
      }
      rests.set(relay, clock.after(REST_INTERVAL_MS, fetchRest))
    }
    deps.tell(received.origins)
  }

  const shelves = createShelfKeeper(deps, () => {
    for (const relay of registered.keys()) fetchFrom(relay)
  })

  let cancelTick: (() => void) | undefined
  const tick = (): void => {
    look()
    cancelTick = clock.after(LOOK_INTERVAL_MS, tick)
  }

  return {
    contacts,
    received,
    device(peerId) {
      account.device(peerId)
      look()
    },
    start(handler) {
      handle = handler
      deps.tell(received.origins)
      tick()
    },
    arrived(relay) {
      // One that this process has not seen is looked at with all others.
      if (registered.has(relay)) fetchFrom(relay)
      else look()
    },
    async idle() {
      while (running.size > 0) await Promise.all(running)
    },
    close() {
      closed = true
      teller.close()
      shelves.close()
      cancelTick?.()
      for (const cancel of rests.values()) cancel()
    },
  }
}
