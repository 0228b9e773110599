/** Tells relays the account record of this node, by which they keep its mail. */
import type { Mailboxes } from '../ports.ts'
import { MailError } from '../ports.ts'
import type { Account } from './account.ts'
import type { OwnMailboxes } from './own-mailboxes.ts'

/** Times that a record is made anew, since a relay holds a newer one. */
const MAX_REGISTRATIONS = 3

export type RegistrationsDeps = {
  readonly mailboxes: Pick<Mailboxes, 'register'>
  readonly account: Account
  readonly own: Pick<OwnMailboxes, 'addresses' | 'registered'>
}

export interface Registrations {
  /** True for a relay that got a record from this process. */
  has(relay: string): boolean
  /** Tells the newest record and hash of the access key, unless the relay has got them. @throws MailError, CarrierError */
  register(relay: string): Promise<void>
}

export function createRegistrations(deps: RegistrationsDeps): Registrations {
  const { account, own } = deps
  /** What each has got. One for each relay that is configured. */
  const registered = new Map<string, string>()

  return {
    has: (relay) => registered.has(relay),
    async register(relay) {
      for (let attempt = 0; attempt < MAX_REGISTRATIONS; attempt += 1) {
        const { record, accessKeyHash } = account
        if (record === undefined) return
        const current = `${record.record.sequence} ${accessKeyHash}`
        if (registered.get(relay) === current) return
        try {
          await deps.mailboxes.register(relay, { record, accessKeyHash })
          registered.set(relay, current)
          return await own.registered(relay)
        } catch (error) {
          const known = error instanceof MailError && error.code === 'old-record' ? error.record : undefined
          if (known === undefined) throw error
          await account.meet(known)
          await account.renew(own.addresses())
          // Another device has the account, or the relay only claims to hold a newer record.
          if (account.record === record) throw error
        }
      }
    },
  }
}
