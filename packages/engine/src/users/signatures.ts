/**
 * POST /keys/signatures/upload: users sign their own devices with their self-signing key, their master key with their
 * devices, and others' master keys with their user-signing key.
 * spec: client-server-api/modules/end_to_end_encryption.md "Cross-signing"
 */
import { checkCanonical, isJsonObject, parseUserId } from '@plexus/core'
import type { JsonObject, JsonValue, UserId } from '@plexus/core'
import { isSignature, sameKey, signingKeyUpdate } from './cross-signing.ts'
import type { UsersContext } from './deps.ts'
import type { ChangeLog, DeviceUpdate, LocalLists } from './device-lists-local.ts'
import { deviceSigningKey, parseCrossSigningKey, signaturesOf } from './key-format.ts'
import type { CrossSigningKey } from './key-format.ts'
import { signaturesOn } from './local-identity.ts'
import { publicDevice } from './public-device.ts'
import type { SignatureEntry } from './public-device.ts'
import { crossSigning, deviceKeys, devices, signatures } from './tables.ts'
import { UserError } from './types.ts'

/** Objects in one request. */
const MAX_SIGNED_OBJECTS = 500

/** User id to key id to error. */
type Failures = Readonly<Record<string, Readonly<Record<string, JsonObject>>>>

export interface SignatureUpload {
  upload(userId: UserId, signed: Readonly<Record<string, JsonObject>>): Promise<Failures>
}

/** A signature that was checked. */
type Signature = {
  readonly target: UserId
  readonly keyId: string
  readonly signerKeyId: string
  readonly text: string
}

export function createSignatureUpload(
  context: UsersContext,
  parts: {
    readonly lists: LocalLists
    readonly changes: ChangeLog
    /** The master key of any user, local or remote, as far as it can be had. */
    readonly masterOf: (userId: UserId) => Promise<JsonObject | undefined>
  },
): SignatureUpload {
  const { store, committer, verifier, mutex } = context

  const own = async (userId: UserId, name: 'selfSigning' | 'userSigning'): Promise<CrossSigningKey> => {
    const key = (await crossSigning.get(store, [userId]))?.[name]
    const usage = name === 'selfSigning' ? 'self_signing' : 'user_signing'
    const parsed = key && parseCrossSigningKey(key, userId, usage)
    if (parsed === undefined) throw new UserError('M_NOT_FOUND', `there is no ${usage} key`)
    return parsed
  }

  /** The signature of `key` on the object, checked. */
  const signatureBy = async (
    userId: UserId,
    target: UserId,
    keyId: string,
    object: JsonObject,
    key: CrossSigningKey,
  ): Promise<Signature> => {
    const signerKeyId = `ed25519:${key.id}`
    const text = signaturesOf(object, userId)[signerKeyId]
    if (text === undefined || !(await isSignature(verifier, object, key.bytes, text))) {
      throw new UserError('M_INVALID_SIGNATURE', 'Invalid signature')
    }
    return { target, keyId, signerKeyId, text }
  }

  const byDevices = async (
    userId: UserId,
    keyId: string,
    object: JsonObject,
  ): Promise<readonly Signature[]> => {
    const found: Signature[] = []
    for (const [signerKeyId, text] of Object.entries(signaturesOf(object, userId))) {
      const deviceId = signerKeyId.slice(signerKeyId.indexOf(':') + 1)
      const keys = await deviceKeys.get(store, [userId, deviceId])
      const bytes = keys && deviceSigningKey(keys, deviceId)
      if (bytes === undefined || !signerKeyId.startsWith('ed25519:')) continue
      if (!(await isSignature(verifier, object, bytes, text))) {
        throw new UserError('M_INVALID_SIGNATURE', 'Invalid signature')
      }
      found.push({ target: userId, keyId, signerKeyId, text })
    }
    if (found.length === 0) throw new UserError('M_INVALID_SIGNATURE', 'no device of the user has signed')
    return found
  }

  const check = async (
    userId: UserId,
    target: UserId,
    keyId: string,
    object: JsonObject,
  ): Promise<readonly Signature[]> => {
    const device = target === userId ? await deviceKeys.get(store, [userId, keyId]) : undefined
    if (device !== undefined) {
      if (!sameKey(object, device))
        throw new UserError('M_INVALID_PARAM', 'the object differs from the device keys')
      return [await signatureBy(userId, target, keyId, object, await own(userId, 'selfSigning'))]
    }
    const master = await parts.masterOf(target)
    if (master === undefined || parseCrossSigningKey(master, target, 'master')?.id !== keyId) {
      throw new UserError('M_NOT_FOUND', 'there is no such key')
    }
    if (!sameKey(object, master))
      throw new UserError('M_INVALID_PARAM', 'the object differs from the master key')
    if (target === userId) return byDevices(userId, keyId, object)
    return [await signatureBy(userId, target, keyId, object, await own(userId, 'userSigning'))]
  }

  /** Keeps the signatures and, in the same commit, tells those who may see them. */
  const keep = async (userId: UserId, done: readonly Signature[]): Promise<void> => {
    const entriesOn = (keyId: string): readonly SignatureEntry[] =>
      done.flatMap((one) =>
        one.target === userId && one.keyId === keyId ? [[userId, one.signerKeyId, one.text] as const] : [],
      )
    const updates: DeviceUpdate[] = []
    let signingKeys: JsonObject | undefined
    for (const keyId of new Set(done.flatMap((one) => (one.target === userId ? [one.keyId] : [])))) {
      const keys = await deviceKeys.get(store, [userId, keyId])
      const device = await devices.get(store, [userId, keyId])
      if (keys !== undefined && device !== undefined) {
        const entries = [...(await signaturesOn(store, userId, keyId)), ...entriesOn(keyId)]
        updates.push(publicDevice(userId, keyId, device, keys, entries))
      } else {
        const row = (await crossSigning.get(store, [userId])) ?? {}
        signingKeys = await signingKeyUpdate(context, userId, row, entriesOn(keyId))
      }
    }
    const own = done.some(({ target }) => target === userId)
    const change = own
      ? await parts.lists.change(userId, {
          devices: updates,
          ...(signingKeys === undefined ? {} : { signingKeys }),
        })
      : undefined
    const others = new Set(done.flatMap(({ target }) => (target === userId ? [] : [target])))
    const logs = await Promise.all([...others].map((target) => parts.changes.change(target, userId)))
    await committer.submit({
      writes: (position) => [
        ...done.map(({ target, keyId, signerKeyId, text }) =>
          signatures.put([target, keyId, userId, signerKeyId], text),
        ),
        ...(change?.writes(position) ?? []),
        ...logs.flatMap((log) => log(position)),
      ],
    })
    change?.sent()
  }

  return {
    upload: (userId, signed) =>
      mutex.run(`cross-signing ${userId}`, async () => {
        const objects = Object.entries(signed).flatMap(([target, keys]) =>
          Object.entries(keys).map(([keyId, object]) => ({ target, keyId, object })),
        )
        if (objects.length > MAX_SIGNED_OBJECTS) {
          throw new UserError('M_TOO_LARGE', `at most ${MAX_SIGNED_OBJECTS} signed objects in one request`)
        }
        const done: Signature[] = []
        const failures = new Map<string, Map<string, JsonObject>>()
        for (const { target, keyId, object } of objects) {
          const parsed = parseUserId(target)
          try {
            done.push(...(await check(userId, checkUser(parsed), keyId, checkObject(object))))
          } catch (error) {
            if (!(error instanceof UserError)) throw error
            const ofTarget = failures.get(target) ?? new Map<string, JsonObject>()
            failures.set(target, ofTarget.set(keyId, { errcode: error.errcode, error: error.message }))
          }
        }
        if (done.length > 0) await keep(userId, done)
        return Object.fromEntries([...failures].map(([target, keys]) => [target, Object.fromEntries(keys)]))
      }),
  }
}

function checkUser(userId: UserId | undefined): UserId {
  if (userId === undefined) throw new UserError('M_INVALID_PARAM', 'not a user id')
  return userId
}

function checkObject(object: JsonValue | undefined): JsonObject {
  if (!isJsonObject(object) || checkCanonical(object) !== undefined) {
    throw new UserError('M_INVALID_PARAM', 'not a signed object')
  }
  return object
}
