/**
 * Cross-signing keys and signatures of local users.
 * spec: client-server-api/modules/end_to_end_encryption.md "Cross-signing"
 */
import { decodeBase64, signableBytes, without } from '@plexus/core'
import type { JsonObject, UserId } from '@plexus/core'
import type { Verifier } from '../ports.ts'
import type { UsersContext } from './deps.ts'
import type { LocalLists } from './device-lists-local.ts'
import { parseCrossSigningKey, signaturesOf } from './key-format.ts'
import type { CrossSigningKey, CrossSigningUsage } from './key-format.ts'
import { signedMaster } from './local-identity.ts'
import { sameJson } from './local-keys.ts'
import { withSignatures } from './public-device.ts'
import type { SignatureEntry } from './public-device.ts'
import { crossSigning, devices, signatures } from './tables.ts'
import type { CrossSigningRow } from './tables.ts'
import { UserError } from './types.ts'
import type { CrossSigningKeys } from './types.ts'

export interface CrossSigning {
  needsAuth(userId: UserId, keys: CrossSigningKeys): Promise<boolean>
  upload(userId: UserId, keys: CrossSigningKeys): Promise<void>
}

const USAGES: readonly (readonly [keyof CrossSigningKeys, CrossSigningUsage])[] = [
  ['master', 'master'],
  ['selfSigning', 'self_signing'],
  ['userSigning', 'user_signing'],
]

export function createCrossSigning(context: UsersContext, lists: LocalLists): CrossSigning {
  const { store, committer, mutex, verifier } = context

  const newKeys = async (userId: UserId, keys: CrossSigningKeys): Promise<CrossSigningRow> => {
    const held = (await crossSigning.get(store, [userId])) ?? {}
    return Object.fromEntries(
      USAGES.flatMap(([name]) => {
        const key = keys[name]
        return key === undefined || sameKey(key, held[name]) ? [] : [[name, key]]
      }),
    )
  }

  /** @throws UserError M_MISSING_PARAM, M_INVALID_SIGNATURE, M_INVALID_PARAM, M_FORBIDDEN. */
  const check = async (userId: UserId, keys: CrossSigningRow, held: CrossSigningRow): Promise<void> => {
    const parsed = USAGES.flatMap(([name, usage]) => {
      const key = keys[name]
      return key === undefined ? [] : [{ name, key, parsed: parse(key, userId, usage) }]
    })
    const object = keys.master ?? held.master
    if (object === undefined) throw new UserError('M_MISSING_PARAM', 'there is no master signing key')
    const master = parse(object, userId, 'master')
    for (const { name, key, parsed: own } of parsed) {
      if ((await devices.get(store, [userId, own.id])) !== undefined) {
        throw new UserError('M_FORBIDDEN', 'the public key is the id of a device')
      }
      if (name !== 'master' && !(await isSignedBy(verifier, key, userId, master))) {
        throw new UserError('M_INVALID_SIGNATURE', 'the key is not signed by the master signing key')
      }
    }
  }

  return {
    async needsAuth(userId, keys) {
      const held = await crossSigning.get(store, [userId])
      return held?.master !== undefined && Object.keys(await newKeys(userId, keys)).length > 0
    },
    upload: (userId, keys) =>
      mutex.run(`cross-signing ${userId}`, async () => {
        const fresh = await newKeys(userId, keys)
        const held = (await crossSigning.get(store, [userId])) ?? {}
        await check(userId, fresh, held)
        if (Object.keys(fresh).length === 0) return
        // What the old master key signed is worth nothing under a new one.
        const row: CrossSigningRow = fresh.master === undefined ? { ...held, ...fresh } : fresh
        const oldId = held.master && parseCrossSigningKey(held.master, userId, 'master')?.id
        const old =
          fresh.master === undefined || oldId === undefined
            ? []
            : await signatures.list(store, [userId, oldId])
        const change = await lists.change(userId, {
          signingKeys: await signingKeyUpdate(context, userId, row),
        })
        await committer.submit({
          writes: (position) => [
            ...old.map(([key]) => signatures.delete(key)),
            crossSigning.put([userId], row),
            ...change.writes(position),
          ],
          durability: 'strict',
        })
        change.sent()
      }),
  }
}

/** The public keys as `m.signing_key_update` has them, with the user's own signatures and those of `more`. */
export async function signingKeyUpdate(
  { store }: UsersContext,
  userId: UserId,
  { master, selfSigning }: CrossSigningRow,
  more: readonly SignatureEntry[] = [],
): Promise<JsonObject> {
  const signed = master && withSignatures(await signedMaster(store, userId, master, undefined), more)
  return {
    ...(signed === undefined ? {} : { master_key: signed }),
    ...(selfSigning === undefined ? {} : { self_signing_key: selfSigning }),
  }
}

function isSignedBy(
  verifier: Verifier,
  object: JsonObject,
  signer: UserId,
  key: CrossSigningKey,
): Promise<boolean> {
  const signature = signaturesOf(object, signer)[`ed25519:${key.id}`]
  return isSignature(verifier, object, key.bytes, signature)
}

/** Total: a malformed signature is a wrong one. `object` is canonical. */
export async function isSignature(
  verifier: Verifier,
  object: JsonObject,
  publicKey: Uint8Array,
  text: string | undefined,
): Promise<boolean> {
  const signature = text === undefined ? undefined : decodeBase64(text)
  if (signature === undefined) return false
  const [valid] = await verifier.verify([{ publicKey, message: signableBytes(object), signature }])
  return valid === true
}

/** Equal but for signatures. */
export function sameKey(a: JsonObject, b: JsonObject | undefined): boolean {
  return (
    b !== undefined && sameJson(without(a, 'signatures', 'unsigned'), without(b, 'signatures', 'unsigned'))
  )
}

function parse(key: JsonObject, userId: UserId, usage: CrossSigningUsage): CrossSigningKey {
  const parsed = parseCrossSigningKey(key, userId, usage)
  if (parsed === undefined || !sameJson(key, key)) {
    throw new UserError('M_INVALID_PARAM', `the ${usage} key is malformed`)
  }
  return parsed
}
