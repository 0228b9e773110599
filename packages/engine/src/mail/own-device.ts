/**
 * The record of this device: the relays that it is connected to now. Addresses of its own would tell strangers where it is, and
 * go to peers alone, over the connection. DESIGN section 7
 *
 * Invariant: no two records of a device have one sequence, and what was published is on disk.
 */
import { encodeBase64 } from '@plexus/core'
import {
  deviceRecords,
  MAX_DEVICE_ADDRESSES,
  MAX_DEVICE_RECORD_MS,
  type DeviceRecord,
  type SignedRecord,
} from '@plexus/core/names'
import type { Committer } from '../kernel/committer.ts'
import type { Clock, Signer, Store } from '../ports.ts'
import { ownDevices } from './tables.ts'

/** How often a node that is awake makes the record anew though nothing changed. */
const DEVICE_RENEWAL_MS: number = 6 * 3_600_000

export type OwnDeviceDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly clock: Clock
  readonly signer: Signer
  /** Where this node can be reached; those through relays are published. */
  readonly addresses: () => Promise<readonly string[]>
  readonly publish: (record: SignedRecord<DeviceRecord>) => Promise<void>
}

/** Publishes the record where it is due: nothing while the device is at no relay. @throws CarrierError when nobody takes it */
export function createOwnDevice(deps: OwnDeviceDeps): (peerId: string) => Promise<void> {
  const { store, committer, clock, signer } = deps
  let published = 0

  async function tell(signed: SignedRecord<DeviceRecord>): Promise<void> {
    if (signed.record.sequence === published) return
    published = signed.record.sequence
    await deps.publish(signed)
  }

  return async (peerId) => {
    const end = `/p2p-circuit/p2p/${peerId}`
    const multiaddrs = (await deps.addresses())
      .filter((address) => address.endsWith(end))
      .slice(0, MAX_DEVICE_ADDRESSES)
    if (multiaddrs.length === 0) return
    const before = await ownDevices.get(store, [peerId])
    const now = clock.now()
    const isAlike = before?.record.multiaddrs.join(' ') === multiaddrs.join(' ')
    const age = now + MAX_DEVICE_RECORD_MS - (before?.record.expires ?? 0)
    // A relay that came to know this node since may lack it.
    if (before !== undefined && isAlike && Math.abs(age) < DEVICE_RENEWAL_MS) return tell(before)
    const sequence = Math.max(now, (before?.record.sequence ?? 0) + 1)
    const record = { name: signer.name, sequence, expires: now + MAX_DEVICE_RECORD_MS, peerId, multiaddrs }
    const signature = encodeBase64(await signer.sign(deviceRecords.bytes(record)))
    const signed = { record, signature }
    await committer.submit({ durability: 'strict', writes: () => [ownDevices.put([peerId], signed)] })
    await tell(signed)
  }
}
