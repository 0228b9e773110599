/** Asking a server for its keys, and notaries where it does not answer. spec: server-server-api.md "Retrieving server keys" */
import type { KeyId, ServerName } from '@plexus/core'
import type { Clock, Federation, Log, Verifier } from '../ports.ts'
import type { KeyTable } from './key-table.ts'
import { isNotarised, proveDocument } from './proof.ts'
import type { KeyAnswer, WantedKey } from './types.ts'

/** How long one server may take over a key document. */
export const KEY_TIMEOUT_MS = 10_000

export type AskDeps = {
  readonly federation: Pick<Federation, 'serverKeys' | 'notaryKeys'>
  readonly verifier: Verifier
  readonly clock: Clock
  readonly log: Log
  readonly notaries: readonly ServerName[]
  readonly table: KeyTable
  readonly lookup: (wanted: readonly WantedKey[]) => Promise<readonly KeyAnswer[]>
}

/** Fetches, checks and keeps the keys of a server. @throws where neither it nor a notary gives what can be believed. */
export async function askForKeys(deps: AskDeps, server: ServerName): Promise<void> {
  const { federation, notaries, table, verifier } = deps
  const askedAt = deps.clock.now()
  try {
    const json = await federation.serverKeys(server, { timeoutMs: KEY_TIMEOUT_MS })
    await table.keep(server, await proveDocument(verifier, server, json), askedAt)
  } catch (error) {
    // A notary's own keys are nobody else's to tell.
    if (notaries.includes(server)) throw error
    for (const notary of notaries) if (await askNotary(deps, notary, server)) return
    throw error
  }
}

async function askNotary(deps: AskDeps, notary: ServerName, server: ServerName): Promise<boolean> {
  const { federation, verifier, table, clock, log } = deps
  const keyOf = async (keyIds: readonly KeyId[]): Promise<readonly (Uint8Array | undefined)[]> => {
    const wanted = keyIds.map((keyId) => ({ server: notary, keyId, at: clock.now() }))
    return (await deps.lookup(wanted)).map((answer) => (typeof answer === 'string' ? undefined : answer))
  }
  try {
    const options = { timeoutMs: KEY_TIMEOUT_MS }
    const answers = await federation.notaryKeys(notary, server, clock.now(), options)
    for (const json of answers) {
      const proof = await proveDocument(verifier, server, json)
      if (!(await isNotarised(verifier, proof.document, notary, keyOf)))
        throw new Error('the notary did not sign its answer')
      await table.keep(server, proof, undefined)
    }
    return answers.length > 0
  } catch (error) {
    log.log('warn', 'a notary did not tell the keys of a server', { notary, server, error: String(error) })
    return false
  }
}
