/** What an account registers a mailbox with. */
import { encodeBase64 } from '@plexus/core'
import { accountRecords, type AccountRecord } from '@plexus/core/names'
import { encodeRegistration } from '@plexus/p2p/wire'
import { certify, type Account } from '../kit/p2p.ts'

const DAY_MS = 24 * 3_600_000
export const ACCESS_KEY: string = encodeBase64(new Uint8Array(32).fill(7))
const ACCESS_HASH = encodeBase64(
  new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(32).fill(7))),
)

export function registrationOf(account: Account, device: string): Uint8Array {
  const now = Date.now()
  const record: AccountRecord = {
    name: account.name,
    sequence: 1,
    expires: now + 60 * DAY_MS,
    mailboxes: [],
    devices: [device],
    sealingKeys: [{ id: 'k1', publicKey: ACCESS_KEY, expires: now + 30 * DAY_MS }],
  }
  const signature = encodeBase64(account.sign(accountRecords.bytes(record)))
  return encodeRegistration({
    certificate: certify(account, device),
    record: { record, signature },
    accessKeyHash: ACCESS_HASH,
  })
}
