/** This node's own key document, and those of others that it signs as a notary. */
import type { JsonObject, ServerName } from '@plexus/core'
import { encodeBase64, isJsonObject, signableBytes } from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import type { Clock, Signer } from '../ports.ts'
import type { KeyFetcher } from './fetcher.ts'
import type { KeyTable } from './key-table.ts'
import { isHalfOver, type KnownServer } from './known-keys.ts'
import type { ServerKeys } from './types.ts'

/** How long the own document is valid when it is new, and how much of that must be left when it is shown. */
export const OWN_VALIDITY_MS = 86_400_000
export const MIN_OWN_VALIDITY_MS = 43_200_000
/** Servers that are asked for one request to a notary, and for all such requests at a time: anybody can make them. */
export const MAX_NOTARY_FETCHES = 8

/**
 * The fields of a key document. One with others is not signed: it could be something else as well, which this node must
 * not have said. DESIGN section 2
 */
const FIELDS: ReadonlySet<string> = new Set([
  'server_name',
  'verify_keys',
  'old_verify_keys',
  'valid_until_ts',
  'signatures',
])

export type NotaryDeps = {
  readonly signer: Signer
  readonly clock: Clock
  readonly table: KeyTable
  readonly fetcher: KeyFetcher
}

export function createNotary(deps: NotaryDeps): Pick<ServerKeys, 'own' | 'notarised'> {
  const { signer, clock, table, fetcher } = deps
  let document: Promise<JsonObject> | undefined
  let validUntil = 0
  let fetching = 0

  const sign = async (json: JsonObject): Promise<JsonObject> => {
    const signature = encodeBase64(await signer.sign(signableBytes(json)))
    const others = isJsonObject(json['signatures']) ? json['signatures'] : {}
    return { ...json, signatures: { ...others, [signer.name]: { [signer.keyId]: signature } } }
  }

  // Anybody can ask for many at once, again and again; a document that is remembered stays the same object.
  const signed = new WeakMap<JsonObject, Promise<JsonObject>>()
  const signOnce = (json: JsonObject): Promise<JsonObject> => {
    const known = signed.get(json)
    if (known !== undefined) return known
    const made = sign(json)
    signed.set(json, made)
    // What failed is tried again.
    made.catch(() => signed.delete(json))
    return made
  }

  const own = (): Promise<JsonObject> => {
    const now = clock.now()
    if (document === undefined || validUntil < now + MIN_OWN_VALIDITY_MS) {
      validUntil = now + OWN_VALIDITY_MS
      document = sign({
        server_name: signer.name,
        verify_keys: { [signer.keyId]: { key: encodeBase64(signer.publicKey) } },
        old_verify_keys: {},
        valid_until_ts: validUntil,
      })
      document.catch(() => (validUntil = 0))
    }
    return document
  }

  /** What is remembered, fetched anew where that is due and anybody may cause it now. */
  const newest = async (server: ServerName, until: number): Promise<KnownServer | undefined> => {
    const known = await table.load(server)
    const isGood = known !== undefined && known.validUntil >= until && !isHalfOver(known, clock.now())
    if (isGood || fetching >= MAX_NOTARY_FETCHES) return known
    fetching += 1
    try {
      await fetcher.fetch(server, { forStranger: true })
    } finally {
      fetching -= 1
    }
    return table.load(server)
  }

  return {
    own,
    async notarised(asked) {
      const documents = await Promise.all(
        [...asked].map(async ([server, until]) => {
          if (server === signer.name) return own()
          // Nobody needs to be told the key of a key name.
          const found = isKeyName(server) ? undefined : (await newest(server, until))?.document
          const isPlain = found !== undefined && Object.keys(found).every((field) => FIELDS.has(field))
          return isPlain ? signOnce(found) : undefined
        }),
      )
      return documents.filter((each) => each !== undefined)
    },
  }
}
