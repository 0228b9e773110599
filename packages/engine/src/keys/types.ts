/** The keys of servers. */
import type { JsonObject, KeyId, ServerName } from '@plexus/core'

export type WantedKey = {
  readonly server: ServerName
  readonly keyId: KeyId
  /** When it signed, milliseconds since the epoch. */
  readonly at: number
  /** `valid_until_ts` does not matter: for events of room versions 1 to 4. */
  readonly beyondValidity?: boolean
}

/**
 * The 32 bytes of a key that counted then; `none` when the server has no such key, for good; `unknown` when that cannot
 * be told at present.
 */
export type KeyAnswer = Uint8Array | 'none' | 'unknown'

export type LookupOptions = {
  /** How long keys are waited for that must be fetched, `LOOKUP_WAIT_MS` if absent; the fetch goes on. */
  readonly waitMs?: number
  /** When the signatures came, now if absent: what a server showed later it may be held to. */
  readonly since?: number
  /** Who brought the signatures, if another server: what it causes to be fetched takes turns with what others do. */
  readonly broughtBy?: ServerName
  /** Nobody who is known brought the signatures: whoever they are, they do not keep others waiting. */
  readonly forStranger?: boolean
}

export interface ServerKeys {
  /**
   * One answer per wanted key, in order. A key name is its key, whatever the key id. The keys of other servers are those
   * that are remembered, else they are fetched.
   */
  lookup(wanted: readonly WantedKey[], options?: LookupOptions): Promise<readonly KeyAnswer[]>
  /** Calls back when keys of a server came. */
  watch(listener: (server: ServerName) => void): () => void
  /** This node's own key document, signed. */
  own(): Promise<JsonObject>
  /**
   * Key documents, signed by their servers and by this node, of those servers that are asked about (with the time until
   * which the document should be valid) and have one.
   */
  notarised(asked: ReadonlyMap<ServerName, number>): Promise<readonly JsonObject[]>
}
