/** The relays that keep mail for this node, and how far each has been read. */
import type { MailboxAddress } from '@plexus/core/names'
import { MAX_MAILBOXES } from '@plexus/core/names'
import type { Committer } from '../kernel/committer.ts'
import type { Clock, Store, Write } from '../ports.ts'
import { mailboxes, type MailboxRow } from './tables.ts'

/** A relay that has not been seen for so long is named no more. */
export const MAILBOX_FORGOTTEN_MS: number = 30 * 24 * 3_600_000

export interface OwnMailboxes {
  get(relay: string): MailboxRow | undefined
  readonly relays: readonly string[]
  /** Relays that are connected; beyond the most that a record names, one takes the place of one that is away, longest first. */
  seen(connected: readonly MailboxAddress[]): Promise<void>
  /** Those that the record names, in the order in which they came. */
  addresses(): readonly MailboxAddress[]
  /** It has got a record. */
  registered(relay: string): Promise<void>
  /** The writes of progress at a relay, and what to do after their commit. */
  moved(relay: string, cursor: number): { readonly writes: readonly Write[]; readonly publish: () => void }
  /** All mail that was there when the relay had the record of `registered` is taken. */
  drained(relay: string, registered: number): Promise<void>
  /** No mailbox holds mail that was sealed before this. */
  readonly cleanSince: number
}

export async function loadOwnMailboxes(deps: {
  store: Store
  committer: Committer
  clock: Clock
}): Promise<OwnMailboxes> {
  const { store, committer, clock } = deps
  const rows = new Map<string, MailboxRow>()
  for (const [[relay], row] of await mailboxes.list(store, [])) rows.set(relay, row)

  const change = async (relay: string, part: Partial<MailboxRow>): Promise<void> => {
    const row = rows.get(relay)
    if (row === undefined) return
    const next = { ...row, ...part }
    rows.set(relay, next)
    await committer.submit({ writes: () => [mailboxes.put([relay], next)] })
  }

  const forget = async (relay: string): Promise<void> => {
    rows.delete(relay)
    await committer.submit({ writes: () => [mailboxes.delete([relay])] })
  }

  const makeRoom = async (connected: ReadonlySet<string>, now: number): Promise<boolean> => {
    const away = [...rows]
      .filter(([relay]) => !connected.has(relay))
      .toSorted(([, a], [, b]) => a.seen - b.seen)
    for (const [relay, { seen }] of away) if (now - seen > MAILBOX_FORGOTTEN_MS) await forget(relay)
    if (rows.size < MAX_MAILBOXES) return true
    const [longest] = away
    if (longest === undefined) return false
    await forget(longest[0])
    return true
  }

  return {
    get: (relay) => rows.get(relay),
    get relays() {
      return [...rows.keys()]
    },
    async seen(connected) {
      const now = clock.now()
      const names = new Set(connected.map(({ peerId }) => peerId))
      for (const { peerId, multiaddrs } of connected) {
        if (rows.has(peerId)) await change(peerId, { multiaddrs, seen: now })
        else if (await makeRoom(names, now)) {
          rows.set(peerId, { multiaddrs, cursor: 0, seen: now, registered: 0, clean: 0 })
          await change(peerId, {})
        }
      }
    },
    addresses: () => [...rows].map(([peerId, { multiaddrs }]) => ({ peerId, multiaddrs })),
    registered: (relay) => change(relay, { registered: clock.now() }),
    moved(relay, cursor) {
      const row = rows.get(relay)
      if (row === undefined) return { writes: [], publish: () => undefined }
      const next = { ...row, cursor }
      return { writes: [mailboxes.put([relay], next)], publish: () => void rows.set(relay, next) }
    },
    drained: (relay, registered) => change(relay, { clean: registered }),
    get cleanSince() {
      return Math.min(...[...rows.values()].map(({ clean }) => clean))
    },
  }
}
