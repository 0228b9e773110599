/** A node that looks up keys of servers that the test makes. */
import type { JsonObject, KeyId, ServerName } from '@plexus/core'
import type { KeyAnswer, WantedKey } from '@plexus/engine'
import { CarrierError, type Federation, type Signer } from '@plexus/engine/ports'
import { createCommitter, createServerKeys, type ServerKeysOwner } from '@plexus/engine/testing'
import { createMemoryDisk, openMemoryStore, type MemoryDisk } from '@plexus/store/memory'
import { dnsSigner, keyDocument } from '../kit/key-documents.ts'
import { createTestVerifier, testSigner } from '../kit/keys.ts'
import { createVirtualClock, type VirtualClock } from '../kit/virtual-clock.ts'

export const DAY = 86_400_000
export const own = testSigner(1)
export const stock = dnsSigner('example.org', 2)
export const rotated = dnsSigner('example.org', 3, 'ed25519:a_2')
export const notary = dnsSigner('notary.example', 4, 'ed25519:n')

export type KeysWorld = {
  readonly clock: VirtualClock
  readonly disk: MemoryDisk
  readonly complaints: string[]
  /** Calls that were made, `<method> <server>`. */
  readonly calls: string[]
  /** What servers answer with their keys. */
  readonly published: Map<ServerName, JsonObject | (() => Promise<JsonObject>)>
  /** What the notary answers. */
  notarised: (server: ServerName) => Promise<readonly JsonObject[]>
  keys: ServerKeysOwner
  open(notaries?: readonly ServerName[], signer?: Signer): Promise<ServerKeysOwner>
}

export async function createKeysWorld(): Promise<KeysWorld> {
  const clock = createVirtualClock()
  const disk = createMemoryDisk()
  const away = async (): Promise<never> => {
    throw new CarrierError('unreachable', 'away')
  }
  const federation: Pick<Federation, 'serverKeys' | 'notaryKeys'> = {
    serverKeys: async (server) => {
      world.calls.push(`server ${server}`)
      const found = world.published.get(server)
      return typeof found === 'function' ? found() : (found ?? away())
    },
    notaryKeys: async (asked, server) => {
      world.calls.push(`notary ${asked} ${server}`)
      return world.notarised(server)
    },
  }
  const world: KeysWorld = {
    clock,
    disk,
    complaints: [],
    calls: [],
    published: new Map(),
    notarised: away,
    keys: undefined as unknown as ServerKeysOwner,
    async open(notaries = [], signer = own) {
      disk.kill()
      const store = await openMemoryStore(disk)
      const deps = {
        store,
        committer: await createCommitter(store),
        federation,
        signer,
        verifier: createTestVerifier(),
        clock,
        random: { bytes: (length: number) => new Uint8Array(length) },
        log: { log: (level: string, text: string) => void world.complaints.push(`${level} ${text}`) },
      }
      world.keys = createServerKeys(deps, { notaries })
      return world.keys
    },
  }
  await world.open()
  return world
}

/** `world`: that of the test under way. */
export function keysKit(world: () => KeysWorld) {
  const wants = (signer: Signer, at = world().clock.now()): WantedKey => ({
    server: signer.name,
    keyId: signer.keyId as KeyId,
    at,
  })
  const one = async (wanted: WantedKey): Promise<KeyAnswer | undefined> =>
    (await world().keys.lookup([wanted]))[0]
  const publish = async (
    signers: readonly Signer[],
    validUntil: number,
    more?: JsonObject,
  ): Promise<void> => {
    world().published.set(stock.name, await keyDocument(signers, validUntil, more))
  }
  const soon = (): number => world().clock.now() + DAY
  return { wants, one, publish, soon }
}
