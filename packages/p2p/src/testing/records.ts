import { generateKeyPairSync, sign } from 'node:crypto'
import { encodeBase64, type ServerName } from '@plexus/core'
import {
  accountKey,
  accountRecords,
  deviceKey,
  deviceRecords,
  nameOfKey,
  type AccountRecord,
  type PublishedRecord,
  type RecordKind,
  type SignedAccountRecord,
} from '@plexus/core/names'
import type { Published } from '../wire/published.ts'

/** A name that signs account records, valid for an hour from `now` on. */
export type TestPublisher = {
  readonly name: ServerName
  readonly key: string
  record(sequence: number, change?: Partial<AccountRecord>): SignedAccountRecord
  /** The record of one of its devices, by number. */
  device(number: number, sequence: number, expires: number): Published
  /** A record of any kind, which lasts an hour. */
  publish<Record extends PublishedRecord>(
    kind: RecordKind<Record>,
    fields: Omit<Record, 'name' | 'expires'>,
  ): Published
}

const PEER = '12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu'

export function createTestPublisher(now: number): TestPublisher {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const name = nameOfKey(new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)))
  const signed = (bytes: Uint8Array): string => encodeBase64(new Uint8Array(sign(null, bytes, privateKey)))
  return {
    name,
    key: accountKey(name),
    record(sequence, change = {}) {
      const head = { name, sequence, expires: now + 3_600_000 }
      const record = { ...head, mailboxes: [], devices: [], sealingKeys: [], ...change }
      return { record, signature: signed(accountRecords.bytes(record)) }
    },
    device(number, sequence, expires) {
      // Base58 has no zero.
      const peerId = PEER.slice(0, -4) + String(number + 1_000).replaceAll('0', 'z')
      const record = { name, sequence, expires, peerId, multiaddrs: [] }
      return {
        key: deviceKey(name, peerId),
        signed: { record, signature: signed(deviceRecords.bytes(record)) },
      }
    },
    publish(kind, fields) {
      const record = { name, expires: now + 3_600_000, ...fields } as Parameters<typeof kind.key>[0]
      return { key: kind.key(record), signed: { record, signature: signed(kind.bytes(record)) } }
    },
  }
}
