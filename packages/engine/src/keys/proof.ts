/** Which signatures of a key document are good. spec: appendices.md "Checking for a Signature" */
import type { JsonValue, KeyId, ServerName } from '@plexus/core'
import { isJsonObject, ownValue, parseKeyId } from '@plexus/core'
import { keyDocumentBytes, parseKeyDocument, signatureIn, type KeyDocument } from '@plexus/core/names'
import type { SignatureCheck, Verifier } from '../ports.ts'

export type ProvenDocument = { readonly document: KeyDocument; readonly proven: ReadonlySet<KeyId> }

/**
 * A document of `server`, and by which of its current keys it is signed: of those it is believed that the server has
 * them. @throws Error for another document, and for one that none of them signed.
 */
export async function proveDocument(
  verifier: Verifier,
  server: ServerName,
  json: JsonValue | undefined,
): Promise<ProvenDocument> {
  const document = parseKeyDocument(json)
  if (document === undefined) throw new Error('not a key document')
  if (document.server !== server) throw new Error('a key document of another server')
  const message = keyDocumentBytes(document)
  const signed = document.verifyKeys.flatMap(({ keyId, publicKey, signature }) =>
    signature === undefined ? [] : [{ keyId, check: { publicKey, message, signature } }],
  )
  const valid = await verifier.verify(signed.map(({ check }) => check))
  const proven = new Set(signed.flatMap(({ keyId }, index) => (valid[index] === true ? [keyId] : [])))
  if (proven.size === 0) throw new Error('a key document that its server did not sign')
  return { document, proven }
}

/** Signatures of a notary that are looked at. */
const MAX_NOTARY_SIGNATURES = 4

/** The checks that could prove that a notary signed a document, given its keys. */
export async function isNotarised(
  verifier: Verifier,
  document: KeyDocument,
  notary: ServerName,
  keyOf: (keyIds: readonly KeyId[]) => Promise<readonly (Uint8Array | undefined)[]>,
): Promise<boolean> {
  const { signatures } = document.json
  const own = isJsonObject(signatures) ? ownValue(signatures, notary) : undefined
  if (!isJsonObject(own)) return false
  const keyIds = Object.keys(own)
    .slice(0, MAX_NOTARY_SIGNATURES)
    .flatMap((text) => parseKeyId(text) ?? [])
  const publicKeys = await keyOf(keyIds)
  const message = keyDocumentBytes(document)
  const checks = keyIds.flatMap((keyId, index): SignatureCheck[] => {
    const publicKey = publicKeys[index]
    const signature = signatureIn(document.json, notary, keyId)
    return publicKey === undefined || signature === undefined ? [] : [{ publicKey, message, signature }]
  })
  return (await verifier.verify(checks)).includes(true)
}
