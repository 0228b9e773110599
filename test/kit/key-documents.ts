/** Servers whose name is no key, and the documents in which they publish their keys. */
import type { JsonObject, ServerName } from '@plexus/core'
import { encodeBase64, isJsonObject, signableBytes } from '@plexus/core'
import type { Signer } from '@plexus/engine/ports'
import { testSigner } from './keys.ts'

/** A server with a DNS name; the same `seed` gives the same key. */
export function dnsSigner(name: string, seed: number, keyId = 'ed25519:a_1'): Signer {
  return { ...testSigner(seed), name: name as ServerName, keyId }
}

export async function signJson(json: JsonObject, signer: Signer): Promise<JsonObject> {
  const before = isJsonObject(json['signatures']) ? json['signatures'] : {}
  const own = before[signer.name]
  const signature = encodeBase64(await signer.sign(signableBytes(json)))
  const ours = { ...(isJsonObject(own) ? own : {}), [signer.keyId]: signature }
  return { ...json, signatures: { ...before, [signer.name]: ours } }
}

/** What a server publishes, signed by all its keys. `more` overrides fields before they are signed. */
export async function keyDocument(
  signers: readonly Signer[],
  validUntil: number,
  more: JsonObject = {},
): Promise<JsonObject> {
  const keys = signers.map(({ keyId, publicKey }) => [keyId, { key: encodeBase64(publicKey) }])
  let json: JsonObject = {
    server_name: signers[0]?.name,
    verify_keys: Object.fromEntries(keys) as JsonObject,
    valid_until_ts: validUntil,
    ...more,
  }
  for (const signer of signers) json = await signJson(json, signer)
  return json
}
