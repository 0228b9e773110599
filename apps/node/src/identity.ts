/** What makes a node the same node after a restart: its name, its name key and its transport key. */
import { createPrivateKey, randomBytes, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseKeyId, parseServerName, type ServerName } from '@plexus/core'
import { nameOfKey } from '@plexus/core/names'
import { StartError, writeDurably } from '@plexus/daemon'
import type { Signer } from '@plexus/engine/ports'
import { generateTransportKey, peerIdOfKey } from '@plexus/p2p'
import * as v from 'valibot'

const FILE = 'identity.json'
const TOKEN_FILE = 'registration-token'
const SEED_BYTES = 32
const TOKEN_BYTES = 18
/** What stands before the 32 bytes of an Ed25519 seed in PKCS #8. RFC 8410 */
const PKCS8_PREFIX: Uint8Array = Uint8Array.of(48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32)
/** Of a name that is its key, which has no other. */
const KEY_ID = 'ed25519:0'
const KEY_VERSION_BYTES = 4

const base64 = (bytes: number): v.GenericSchema<string> =>
  v.pipe(
    v.string(),
    v.check((text) => Buffer.from(text, 'base64').length === bytes),
  )

const schema = v.object({
  serverName: v.string(),
  /** Secret: the seed of the name key, base64. */
  nameSeed: base64(SEED_BYTES),
  /** Other servers keep the key of a DNS name under its id for good, so that another key needs another id. */
  keyId: v.optional(
    v.pipe(
      v.string(),
      v.check((id) => parseKeyId(id) !== undefined),
    ),
    KEY_ID,
  ),
  /** Secret: the transport key as libp2p keeps it, base64. */
  transportKey: v.string(),
})
type Kept = v.InferOutput<typeof schema>

export type Identity = {
  readonly signer: Signer
  readonly transportKey: Uint8Array
}

/**
 * Loads the identity in `folder`, or makes it. `serverName` is the name that was asked for, if any; `suffix` the domain under which
 * a name that is a key stands.
 * @throws StartError when the file is damaged, or of a node with another name.
 */
export async function loadIdentity(
  folder: string,
  serverName: string | undefined,
  suffix?: string,
): Promise<Identity> {
  if (serverName !== undefined && suffix !== undefined)
    throw new StartError('--server-name and --name-suffix exclude each other')
  const file = join(folder, FILE)
  const kept = readKept(file) ?? (await make(folder, serverName, suffix))
  const publicKey = await publicKeyOf(Buffer.from(kept.nameSeed, 'base64'))
  const asked = suffix === undefined ? serverName : nameUnder(publicKey, suffix)
  if (asked !== undefined && asked !== kept.serverName) {
    const what = `the data folder is of ${kept.serverName}, not of ${asked}`
    throw new StartError(`${what}: a server keeps its name; choose another folder with --data`)
  }
  const seed = Buffer.from(kept.nameSeed, 'base64')
  const der = Buffer.concat([PKCS8_PREFIX, seed])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  return {
    signer: {
      name: kept.serverName as ServerName,
      keyId: kept.keyId,
      publicKey,
      // At once, in a twentieth of a millisecond: WebCrypto waits for a thread, behind the passwords that are hashed.
      sign: (bytes) => Promise.resolve(new Uint8Array(sign(null, bytes, key))),
    },
    transportKey: new Uint8Array(Buffer.from(kept.transportKey, 'base64')),
  }
}

/** The file that holds the token by which accounts are made. */
export const registrationTokenFile = (folder: string): string => join(folder, TOKEN_FILE)

/** Loads the token in `folder`, or makes it; the operator may write another. @throws StartError */
export function loadRegistrationToken(folder: string): string {
  const file = registrationTokenFile(folder)
  const kept = readIfThere(file)?.trim()
  if (kept === undefined) {
    const token = randomBytes(TOKEN_BYTES).toString('base64url')
    writeDurably(folder, TOKEN_FILE, `${token}\n`)
    return token
  }
  if (/^[A-Za-z0-9._~-]{1,64}$/.test(kept)) return kept
  throw new StartError(`${file} holds no token: that is 1 to 64 letters, digits and ._~-`)
}

/** A secret that the operator keeps in a file. @throws StartError when it cannot be read, or holds none. */
export function readSecret(file: string): string {
  const secret = readIfThere(file)?.trim()
  if (secret === undefined) throw new StartError(`${file} is not there`)
  if (secret === '') throw new StartError(`${file} is empty`)
  return secret
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error)
    if (code === 'ENOENT') return undefined
    throw new StartError(`${file} cannot be read (${code})`, { cause: error })
  }
}

function readKept(file: string): Kept | undefined {
  const text = readIfThere(file)
  if (text === undefined) return undefined
  const damaged = `${file} is damaged: restore it, or delete the data folder and the node is a new one`
  try {
    const kept = v.parse(schema, JSON.parse(text))
    peerIdOfKey(new Uint8Array(Buffer.from(kept.transportKey, 'base64')))
    if (parseServerName(kept.serverName) === undefined) throw new StartError(damaged)
    return kept
  } catch {
    // What is wrong with it may quote the file, which is secret.
    throw new StartError(damaged)
  }
}

function nameUnder(publicKey: Uint8Array, suffix: string | undefined): ServerName {
  try {
    return nameOfKey(publicKey, suffix)
  } catch (error) {
    throw new StartError(`--name-suffix ${suffix} is too long for a server name`, { cause: error })
  }
}

async function make(
  folder: string,
  serverName: string | undefined,
  suffix: string | undefined,
): Promise<Kept> {
  const seed = randomBytes(SEED_BYTES)
  const kept: Kept = {
    serverName: serverName ?? nameUnder(await publicKeyOf(seed), suffix),
    nameSeed: seed.toString('base64'),
    keyId: serverName === undefined ? KEY_ID : `ed25519:${randomBytes(KEY_VERSION_BYTES).toString('hex')}`,
    transportKey: Buffer.from(await generateTransportKey()).toString('base64'),
  }
  writeDurably(folder, FILE, `${JSON.stringify(kept, undefined, 2)}\n`)
  return kept
}

async function publicKeyOf(seed: Uint8Array): Promise<Uint8Array> {
  const { subtle } = globalThis.crypto
  const key = await subtle.importKey('pkcs8', Uint8Array.of(...PKCS8_PREFIX, ...seed), 'Ed25519', true, [
    'sign',
  ])
  const { x = '' } = await subtle.exportKey('jwk', key)
  return new Uint8Array(Buffer.from(x, 'base64url'))
}
