import { generateKeyPairSync, sign } from 'node:crypto'
import { encodeBase64, type ServerName } from '@plexus/core'
import {
  accountKey,
  accountRecords,
  nameOfKey,
  type AccountRecord,
  type SignedAccountRecord,
} from '@plexus/core/names'

/** A name that signs account records, valid for an hour from `now` on. */
export type TestPublisher = {
  readonly name: ServerName
  readonly key: string
  record(sequence: number, change?: Partial<AccountRecord>): SignedAccountRecord
}

export function createTestPublisher(now: number): TestPublisher {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const name = nameOfKey(new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)))
  return {
    name,
    key: accountKey(name),
    record(sequence, change = {}) {
      const head = { name, sequence, expires: now + 3_600_000 }
      const record = { ...head, mailboxes: [], devices: [], sealingKeys: [], ...change }
      const signature = sign(null, accountRecords.bytes(record), privateKey)
      return { record, signature: encodeBase64(new Uint8Array(signature)) }
    },
  }
}
