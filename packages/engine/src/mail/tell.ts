/** Tells the nodes that share a room where to leave mail for this one, and again when that changes. */
import type { ServerName } from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import type { Committer } from '../kernel/committer.ts'
import type { Outbox } from '../outbox-types.ts'
import type { Clock, Log, Store } from '../ports.ts'
import { cursors } from '../rooms/records.ts'
import type { Account } from './account.ts'
import { contactContent } from './contacts.ts'
import { told } from './tables.ts'

/** Commits closer together than this are looked at once. */
const SETTLE_MS = 200

export interface Teller {
  /** Looks who has not been told. */
  look(): void
  close(): void
}

export function createTeller(deps: {
  store: Store
  committer: Committer
  clock: Clock
  log: Log
  outbox: () => Pick<Outbox, 'queueDurable'>
  peers: () => Promise<readonly ServerName[]>
  account: Account
}): Teller {
  const { store, committer, clock, log, outbox, account } = deps
  let cancel: (() => void) | undefined

  const tellAll = async (): Promise<void> => {
    const { record, fingerprint, accessKey } = account
    if (record === undefined || fingerprint === undefined || record.record.mailboxes.length === 0) return
    const names = (await deps.peers()).filter(isKeyName)
    const before = await told.getMany(
      store,
      names.map((name): [ServerName] => [name]),
    )
    const edu = { edu_type: 'plexus.contact', content: contactContent(record, accessKey) }
    const untold = names.filter((_, index) => before[index] !== fingerprint)
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
    if (maps.has(cursors.map)) look()
  })
  return {
    look,
    close() {
      stop()
      cancel?.()
    },
  }
}
