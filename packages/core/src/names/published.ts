import type { JsonValue } from '../json.ts'
import { accountRecords, type AccountRecord } from './account-record.ts'
import { aliasRecords, type AliasRecord } from './alias-record.ts'
import { deviceRecords, type DeviceRecord } from './device-record.ts'
import { listingRecords, type ListingRecord } from './listing-record.ts'
import type { RecordKind, SignedRecord } from './record.ts'

/** What is published for anybody to find. */
export type PublishedRecord = AccountRecord | DeviceRecord | AliasRecord | ListingRecord

/** The kinds by the first part of their keys. */
const KINDS: Readonly<Record<string, RecordKind<PublishedRecord>>> = {
  account: accountRecords,
  device: deviceRecords,
  alias: aliasRecords,
  rooms: listingRecords,
}

/** Characters of a key. */
export const MAX_RECORD_KEY_CHARS = 400

/** The kind of the records under a key; `undefined` for what is no key. */
export function kindOfKey(key: string): RecordKind<PublishedRecord> | undefined {
  if (key.length > MAX_RECORD_KEY_CHARS) return undefined
  const kind = key.slice(0, Math.max(0, key.indexOf('/')))
  return Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined
}

/** The kind of a record that this node made or parsed. */
export function kindOfRecord(record: PublishedRecord): RecordKind<PublishedRecord> {
  const kind =
    'mailboxes' in record ? 'account' : 'alias' in record ? 'alias' : 'rooms' in record ? 'rooms' : 'device'
  return KINDS[kind] as RecordKind<PublishedRecord>
}

/** The record that `value` is, if it stands under `key`, is whole and counts at `now`. */
export function readPublished(
  key: string,
  value: JsonValue,
  now: number,
): SignedRecord<PublishedRecord> | undefined {
  const kind = kindOfKey(key)
  const signed = kind?.parse(value)
  if (kind === undefined || signed === undefined || kind.key(signed.record) !== key) return undefined
  return kind.check(signed, now) === undefined ? signed : undefined
}
