/**
 * Tells the nodes that share a room where to leave mail for this one, and again when that changes. When one of them shares none
 * any more, or is blocked, the others get another access key, and what it has opens nothing.
 */
import type { ServerName } from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import type { Committer } from '../kernel/committer.ts'
import type { Outbox } from '../outbox-types.ts'
import type { Clock, Log, Store } from '../ports.ts'
import { cursors } from '../rooms/records.ts'
import { accountData } from '../users/tables.ts'
import type { Account } from './account.ts'
import { contactContent } from './contacts.ts'
import { told } from './tables.ts'

/** Commits closer together than this are looked at once. */
const SETTLE_MS = 200
/** Milliseconds between access keys: each is told to everybody, so that who comes and goes must not make many. */
export const ACCESS_KEY_INTERVAL_MS = 3_600_000

export interface Teller {
  /** Looks who has not been told. */
  look(): void
  close(): void
}

export type TellerDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly clock: Clock
  readonly log: Log
  readonly outbox: () => Pick<Outbox, 'queueDurable' | 'isFull'>
  readonly peers: () => Promise<readonly ServerName[]>
  /** Those of the servers whose users are all unwanted here. */
  readonly blocked: (names: readonly ServerName[]) => Promise<ReadonlySet<ServerName>>
  /** The account is being given up. */
  readonly isClosed: () => Promise<boolean>
  readonly account: Account
  /** The relays are to have the hash of the new access key. */
  readonly rotated: () => void
}

export function createTeller(deps: TellerDeps): Teller {
  const { store, committer, clock, log, outbox, account } = deps
  let cancel: (() => void) | undefined
  let cancelRotation: (() => void) | undefined

  /** Who may know the access key has changed for the worse. */
  const rotate = async (gone: readonly ServerName[]): Promise<void> => {
    if (gone.length === 0 || cancelRotation !== undefined) return
    await account.rotate(gone.map((name) => told.delete([name])))
    cancelRotation = clock.after(ACCESS_KEY_INTERVAL_MS, () => {
      cancelRotation = undefined
      look()
    })
    deps.rotated()
  }

  const listeners = async (known: readonly ServerName[]): Promise<readonly ServerName[]> => {
    // It has left its rooms, and says so to all who would look for it.
    if (account.record?.record.tombstone !== undefined) return known
    const peers = (await deps.peers()).filter(isKeyName)
    const blocked = await deps.blocked(peers)
    const names = peers.filter((name) => !blocked.has(name))
    const wanted = new Set(names)
    await rotate(known.filter((name) => !wanted.has(name)))
    return names
  }

  const tellAll = async (): Promise<void> => {
    const { record } = account
    if (record === undefined) return
    const isOver = record.record.tombstone !== undefined
    if (!isOver && (record.record.mailboxes.length === 0 || (await deps.isClosed()))) return
    const before = new Map((await told.list(store, [])).map(([[name], text]) => [name, text]))
    const names = await listeners([...before.keys()])
    const { fingerprint, accessKey } = account
    if (fingerprint === undefined) return
    const edu = { edu_type: 'plexus.contact', content: contactContent(record, accessKey) }
    const untold = names.filter((name) => before.get(name) !== fingerprint && !outbox().isFull(name))
    const tell = (name: ServerName): Promise<number> =>
      committer.submit({
        writes: () => [told.put([name], fingerprint), ...outbox().queueDurable(name, edu)],
      })
    await Promise.all(untold.map(tell))
  }

  const look = (): void => {
    cancel ??= clock.after(SETTLE_MS, () => {
      cancel = undefined
      tellAll().catch((error: unknown) =>
        log.log('error', 'contacts were not told of this node', { error: String(error) }),
      )
    })
  }

  const stop = committer.onCommit((_position, maps) => {
    if (maps.has(cursors.map) || maps.has(accountData.map)) look()
  })
  return {
    look,
    close() {
      stop()
      cancel?.()
      cancelRotation?.()
    },
  }
}
