/** Reads what others may see of a local user: devices, cross-signing keys, and the signatures on both. */
import type { JsonObject, UserId } from '@plexus/core'
import type { Store } from '../ports.ts'
import type { DeviceUpdate } from './device-lists-local.ts'
import { parseCrossSigningKey } from './key-format.ts'
import { publicDevice, withSignatures, withSigners } from './public-device.ts'
import type { SignatureEntry } from './public-device.ts'
import { crossSigning, deviceKeys, devices, signatures } from './tables.ts'

/** The signatures on one object, made with `/keys/signatures/upload`. */
export async function signaturesOn(
  store: Store,
  userId: string,
  keyId: string,
): Promise<readonly SignatureEntry[]> {
  const rows = await signatures.list(store, [userId, keyId])
  return rows.map(([[, , signer, signerKeyId], signature]) => [signer, signerKeyId, signature])
}

/** All devices of a local user as updates. */
export async function publicDevices(store: Store, userId: UserId): Promise<readonly DeviceUpdate[]> {
  const rows = await devices.list(store, [userId])
  return Promise.all(
    rows.map(async ([[, deviceId], device]) =>
      publicDevice(
        userId,
        deviceId,
        device,
        await deviceKeys.get(store, [userId, deviceId]),
        await signaturesOn(store, userId, deviceId),
      ),
    ),
  )
}

/** The cross-signing keys of a local user, with the signatures that `viewer` may see; the user-signing key for its owner. */
export async function publicSigningKeys(
  store: Store,
  userId: UserId,
  viewer: string | undefined,
): Promise<{ master?: JsonObject; selfSigning?: JsonObject; userSigning?: JsonObject }> {
  const { master, selfSigning, userSigning } = (await crossSigning.get(store, [userId])) ?? {}
  return {
    ...(master === undefined ? {} : { master: await signedMaster(store, userId, master, viewer) }),
    ...(selfSigning === undefined ? {} : { selfSigning }),
    ...(userSigning === undefined || viewer !== userId ? {} : { userSigning }),
  }
}

/**
 * A master key with the signatures on it that `viewer` may see: the user's own, and the viewer's.
 * spec: client-server-api/modules/end_to_end_encryption.md "Key and signature security"
 */
export async function signedMaster(
  store: Store,
  userId: UserId,
  master: JsonObject,
  viewer: string | undefined,
): Promise<JsonObject> {
  const signers = viewer === undefined ? [userId] : [userId, viewer]
  const keyId = parseCrossSigningKey(master, userId, 'master')?.id
  const entries = keyId === undefined ? [] : await signaturesOn(store, userId, keyId)
  const visible = entries.filter(([signer]) => signers.includes(signer))
  return withSigners(withSignatures(master, visible), signers)
}
