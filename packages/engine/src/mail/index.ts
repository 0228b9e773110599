/** The mail of a node: its mailboxes, its record, and what it fetches from there. What it leaves is the outbox's affair. */
import type { ServerName } from '@plexus/core'
import type { AccountRecord, DeviceRecord, SignedAccountRecord, SignedRecord } from '@plexus/core/names'
import type { Committer } from '../kernel/committer.ts'
import { createRuns } from '../kernel/runs.ts'
import { createSteady } from '../kernel/steady.ts'
import type { Outbox } from '../outbox-types.ts'
import type { Clock, Log, Mailboxes, MailHandler, Random, Sealer, Signer, Store } from '../ports.ts'
import { MailError } from '../ports.ts'
import type { KeyShelf } from '../users/types.ts'
import { loadAccount, type Account } from './account.ts'
import type { Contacts } from './contacts.ts'
import { loadContacts } from './contacts.ts'
import { createFetches } from './fetches.ts'
import { createInbox } from './inbox.ts'
import { createOwnDevice } from './own-device.ts'
import { loadOwnMailboxes } from './own-mailboxes.ts'
import type { ReceivedQueue } from './received.ts'
import { loadReceivedQueue } from './received.ts'
import { createRegistrations } from './registrations.ts'
import { createShelfKeeper } from './shelf-keeper.ts'
import { loadSealingKeys } from './sealing-keys.ts'
import { createTeller } from './tell.ts'

/** How often a node that is awake looks whether its record or key is due. */
const LOOK_INTERVAL_MS = 3_600_000
/**
 * Milliseconds after a look-up of the account before there is another, and for which one goes before records that are made. What
 * comes to a device whose relays do not know that another one took the account over is lost to that one.
 */
const LOOK_UP_GOOD_MS = LOOK_INTERVAL_MS / 2
/** When it looks again at a relay that had no time for its registration: until then nothing is fetched from it, or left at it. */
const BUSY_INTERVAL_MS = 60_000

export type MailDeps = {
  readonly store: Store
  /** Of the store. */
  readonly incarnation: string
  readonly committer: Committer
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly signer: Signer
  readonly sealer: Sealer
  readonly mailboxes: Mailboxes
  readonly find: (name: ServerName) => Promise<SignedAccountRecord | undefined>
  readonly publish: (record: SignedRecord<AccountRecord | DeviceRecord>) => Promise<void>
  /** Where this node can be reached. */
  readonly addresses: () => Promise<readonly string[]>
  readonly sharesRoom: (name: ServerName) => boolean
  readonly awaySince: (name: ServerName) => number | undefined
  readonly outbox: () => Pick<Outbox, 'queueDurable' | 'isFull'>
  /** The servers that share a room with a user of this node. */
  readonly peers: () => Promise<readonly ServerName[]>
  /** The keys of this node's users. */
  readonly keyShelf: () => KeyShelf
  /** Those of the servers whose users are all unwanted here. */
  readonly blocked: (names: readonly ServerName[]) => Promise<ReadonlySet<ServerName>>
  /** The account that this node is there for was given up. */
  readonly isClosed: () => Promise<boolean>
  /** Called when another device took the account over. */
  readonly replaced: () => void
  /** Where one did before, the account is taken back. */
  readonly takeBack: boolean
  /** There is something to tell to these. */
  readonly tell: (names: readonly ServerName[]) => void
}

/** To be told by the app, which has the transport. Once another device has the account nothing is done any more. */
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
  readonly account: Pick<Account, 'isReplaced'>
  /** This node is at a relay, or has an address of its own. */
  isReachable(): Promise<boolean>
  /** The record may be due. */
  look(): void
  idle(): Promise<void>
  close(): void
}

export async function createMail(deps: MailDeps): Promise<MailOwner> {
  const { clock, log } = deps
  const received = await loadReceivedQueue(deps)
  const contacts = await loadContacts(deps)
  const keys = await loadSealingKeys(deps)
  const account = await loadAccount({ ...deps, keys, replaced: () => stop() })
  if (deps.takeBack) await account.takeBack()
  const own = await loadOwnMailboxes(deps)
  const inbox = createInbox({ ...deps, own, keys, received, isReplaced: () => account.isReplaced })
  const teller = createTeller({ ...deps, account, rotated: () => look() })
  const registrations = createRegistrations({ ...deps, account, own })
  const runs = createRuns(log)
  const isRegistered = (relay: string): boolean => registrations.has(relay)
  const taken = (): void => deps.tell(received.origins)
  const shelves = createShelfKeeper(deps, () => fetches.again())
  // After the mail: it may hold what was made with the keys that a shelf gave out.
  const drained = (relay: string): Promise<void> =>
    shelves.fill(relay).catch((error: unknown) => {
      log.log('info', 'a key shelf was not filled', { relay, error: String(error) })
    })
  const fetches = createFetches({
    clock,
    log,
    runs,
    inbox,
    isRegistered,
    drained,
    taken,
    refused: (record) => account.meet(record),
  })
  const publish = createPublishing(deps, account)

  const visit = async (relay: string): Promise<void> => {
    if (own.get(relay) === undefined) return
    await registrations.register(relay).catch((error: unknown) => {
      log.log('warn', 'a relay keeps no mailbox', { relay, error: String(error) })
      if (error instanceof MailError && error.code === 'too-fast') lookSoon()
    })
    fetches.from(relay)
  }

  const steady = createSteady(clock)
  /** When the network was asked for the newest record of the account. */
  let lookedUp = Number.NEGATIVE_INFINITY
  const isLookedUp = (): boolean => steady() - lookedUp < LOOK_UP_GOOD_MS
  const lookUp = runs.once('the account was not looked up', async () => {
    if (isLookedUp()) return
    const known = await deps.find(deps.signer.name)
    if (known !== undefined) await account.meet(known)
    lookedUp = steady()
    look()
  })
  const isReachable = async (): Promise<boolean> =>
    (await deps.mailboxes.relays()).length + (await deps.addresses()).length > 0
  /** A relay tells of another device when it is shown the record that is there, the DHT may before there is another one. */
  const renew = async (): Promise<void> => {
    if (account.record === undefined || isLookedUp()) await account.renew(own.addresses())
    // Where it is taken over nothing is settled by a look-up that asked no relay.
    const canAsk = account.isClaimed ? (await deps.mailboxes.relays()).length > 0 : await isReachable()
    if (canAsk) lookUp()
  }

  const look = runs.once('mail was not looked after', async () => {
    const connected = await deps.mailboxes.relays()
    await own.seen(connected)
    if (await deps.isClosed()) await account.end()
    else await renew()
    await Promise.all(connected.map(({ peerId }) => visit(peerId)))
    if (account.isReplaced) return
    if (account.isClaimed && isLookedUp() && connected.some(({ peerId }) => isRegistered(peerId)))
      await account.held()
    await publish()
    teller.look()
    await keys.destroyOld(own.cleanSince)
  })

  let cancelSoon: (() => void) | undefined
  const lookSoon = (): void => {
    cancelSoon ??= clock.after(BUSY_INTERVAL_MS, () => {
      cancelSoon = undefined
      look()
    })
  }
  let cancelTick: (() => void) | undefined
  const tick = (): void => {
    look()
    cancelTick = clock.after(LOOK_INTERVAL_MS, tick)
  }

  const close = (): void => {
    runs.close()
    teller.close()
    shelves.close()
    cancelSoon?.()
    cancelTick?.()
    fetches.close()
  }
  const stop = (): void => {
    close()
    log.log('warn', 'the account runs on another device by now: this one stops')
    deps.replaced()
  }

  return {
    contacts,
    received,
    account,
    isReachable,
    look,
    device(peerId) {
      account.device(peerId)
      look()
    },
    start(handler) {
      fetches.start(handler)
      deps.tell(received.origins)
      tick()
    },
    arrived(relay) {
      // One that this process has not seen is looked at with all others.
      if (isRegistered(relay)) fetches.from(relay)
      if (!isRegistered(relay) || !isLookedUp()) look()
    },
    idle: () => runs.idle(),
    close,
  }
}

/** Publishes each record of this node once. */
function createPublishing(deps: MailDeps, account: Account): () => Promise<void> {
  const device = createOwnDevice(deps)
  let published = 0
  const failed = (error: unknown): void =>
    deps.log.log('debug', 'nobody took a record', { error: String(error) })
  return async () => {
    const { record } = account
    if (record === undefined) return
    if (record.record.sequence !== published) {
      published = record.record.sequence
      await deps.publish(record).catch(failed)
    }
    const [peerId] = record.record.devices
    if (peerId !== undefined && record.record.tombstone === undefined) await device(peerId).catch(failed)
  }
}
