/** A local device as others see it. */
import { isJsonObject, ownValue } from '@plexus/core'
import type { JsonObject, UserId } from '@plexus/core'
import type { DeviceUpdate } from './device-lists-local.ts'
import { objectAt } from './read.ts'
import type { DeviceRow } from './tables.ts'

/** Signer, key id of the signer, signature. */
export type SignatureEntry = readonly [signer: string, keyId: string, signature: string]

/** The object with more signatures; its own stay. */
export function withSignatures(object: JsonObject, entries: readonly SignatureEntry[]): JsonObject {
  if (entries.length === 0) return object
  const bySigner = new Map<string, JsonObject>()
  for (const [signer, own] of Object.entries(objectAt(object, 'signatures') ?? {})) {
    if (isJsonObject(own)) bySigner.set(signer, own)
  }
  for (const [signer, keyId, signature] of entries) {
    bySigner.set(
      signer,
      Object.fromEntries([...Object.entries(bySigner.get(signer) ?? {}), [keyId, signature]]),
    )
  }
  return { ...object, signatures: Object.fromEntries(bySigner) }
}

/** The object without the signatures of any but these signers. */
export function withSigners(object: JsonObject, signers: readonly string[]): JsonObject {
  const kept = Object.entries(objectAt(object, 'signatures') ?? {}).filter(([signer]) =>
    signers.includes(signer),
  )
  return ownValue(object, 'signatures') === undefined
    ? object
    : { ...object, signatures: Object.fromEntries(kept) }
}

/** An update that describes a device as it is. */
export function publicDevice(
  userId: UserId,
  deviceId: string,
  device: DeviceRow,
  keys: JsonObject | undefined,
  signatures: readonly SignatureEntry[],
): DeviceUpdate {
  return {
    device_id: deviceId,
    ...(device.displayName === undefined ? {} : { device_display_name: device.displayName }),
    ...(keys === undefined
      ? {}
      : {
          keys: withSignatures(
            keys,
            signatures.filter(([signer]) => signer === userId),
          ),
        }),
  }
}
