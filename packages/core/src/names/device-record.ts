import type { ServerName } from '../ids.ts'
import {
  MAX_ADDRESS_CHARS,
  parseList,
  parsePeerId,
  parseText,
  recordKind,
  type RecordHead,
  type RecordKind,
} from './record.ts'

/** Longest validity of a device record, in milliseconds. DESIGN section 7 */
export const MAX_DEVICE_RECORD_MS: number = 24 * 3_600_000
/** Addresses of one device. */
export const MAX_DEVICE_ADDRESSES = 8

/** Where a device is connected now: at relays only, since an address of its own would tell where it is. */
export type DeviceRecord = RecordHead & {
  readonly peerId: string
  /** Each `<relay>/p2p-circuit/p2p/<peerId>`. */
  readonly multiaddrs: readonly string[]
}

export const deviceRecords: RecordKind<DeviceRecord> = recordKind<DeviceRecord>({
  domain: 'deviceRecord',
  maxValidityMs: MAX_DEVICE_RECORD_MS,
  fields: ({ peerId, multiaddrs }) => ({ peerId, multiaddrs }),
  parseFields(value) {
    const peerId = parsePeerId(value['peerId'])
    if (peerId === undefined) return undefined
    const multiaddrs = parseList(value['multiaddrs'], MAX_DEVICE_ADDRESSES, (item) => {
      const address = parseText(item, MAX_ADDRESS_CHARS)
      return address !== undefined && isCircuitTo(address, peerId) ? address : undefined
    })
    return multiaddrs === undefined ? undefined : { peerId, multiaddrs }
  },
  key: ({ name, peerId }) => deviceKey(name, peerId),
})

/** What the record of one device is found by. */
export function deviceKey(name: ServerName, peerId: string): string {
  return `device/${name}/${peerId}`
}

function isCircuitTo(address: string, peerId: string): boolean {
  const end = `/p2p-circuit/p2p/${peerId}`
  return (
    address.startsWith('/') &&
    address.indexOf('/p2p-circuit') === address.length - end.length &&
    address.endsWith(end)
  )
}
