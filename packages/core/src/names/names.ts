import { base36 } from '@scure/base'
import { isSoundPublicKey } from '../ed25519.ts'
import { parseServerName, type ServerName } from '../ids.ts'
import { createMemo, remembered, type Memo } from '../memo.ts'

/** Length of the first label of a name that is a key: multibase prefix and 61 digits. */
export const KEY_LABEL_LENGTH = 62

/**
 * What stands before the 32 bytes of the key: CID version 1, codec libp2p-key, an identity multihash of 36 bytes,
 * and in it the protobuf of a public key of type Ed25519. libp2p "Peer Ids and Keys", multiformats "CIDv1"
 */
const CID_PREFIX = Uint8Array.of(0x01, 0x72, 0x00, 0x24, 0x08, 0x01, 0x12, 0x20)
const PUBLIC_KEY_BYTES = 32
const LABEL = /^k[0-9a-z]{61}$/
/** A name whose first label has the form of a key: what stands before it makes the first digits the same for all. */
const KEY_FORM = /^k51qzi5uqu5d[0-9a-z]{50}(?:[.:]|$)/
/** Labels whose keys are remembered: a room may have as many servers, which are looked through for every change. */
const MAX_CACHED_LABELS = 16_384
const keys: Memo<Uint8Array | undefined> = createMemo(MAX_CACHED_LABELS)

/**
 * The Ed25519 public key that a server name is, by its first label; `undefined` for a DNS name. A label that only
 * looks like a key (another encoding of it, a point that is no sound key) is no key.
 */
export function keyOfName(name: ServerName): Uint8Array | undefined {
  const end = name.search(/[.:]/)
  return keyOfLabel(end === -1 ? name : name.slice(0, end))
}

function keyOfLabel(label: string): Uint8Array | undefined {
  return LABEL.test(label) ? remembered(keys, label, () => decodeKey(label)) : undefined
}

function decodeKey(label: string): Uint8Array | undefined {
  const cid = decodeBase36(label.slice(1))
  if (cid === undefined || cid.length !== CID_PREFIX.length + PUBLIC_KEY_BYTES) return undefined
  const publicKey = cid.slice(CID_PREFIX.length)
  if (labelOf(publicKey) !== label) return undefined
  return isSoundPublicKey(publicKey) ? publicKey : undefined
}

/** True for a server name whose first label is a key. */
export function isKeyName(name: ServerName): boolean {
  return keyOfName(name) !== undefined
}

/**
 * The server name of a public key, bare or under a DNS suffix (`gw.example.org`). Throws a TypeError for what is no
 * sound key or makes no server name: names are made of keys that this node generated.
 */
export function nameOfKey(publicKey: Uint8Array, suffix?: string): ServerName {
  if (!isSoundPublicKey(publicKey)) throw new TypeError('not a sound Ed25519 public key')
  const label = labelOf(publicKey)
  const name = parseServerName(suffix === undefined ? label : `${label}.${suffix}`)
  if (name === undefined) throw new TypeError('not a suffix of a server name')
  return name
}

function labelOf(publicKey: Uint8Array): string {
  const cid = new Uint8Array(CID_PREFIX.length + PUBLIC_KEY_BYTES)
  cid.set(CID_PREFIX)
  cid.set(publicKey, CID_PREFIX.length)
  return `k${base36.encode(cid)}`
}

function decodeBase36(text: string): Uint8Array | undefined {
  try {
    return base36.decode(text)
  } catch {
    return undefined
  }
}

/**
 * True where two servers speak over libp2p alone: nobody signs an answer over HTTPS, so that who runs the domain of a key's
 * suffix could speak for that key. A server whose own name is no key has no certificate on libp2p, and is to others what any
 * homeserver is. DESIGN, promise 3
 */
export function meetsDirectly(own: ServerName, other: ServerName): boolean {
  return isKeyName(other) && (isKeyName(own) || !other.includes('.'))
}

/**
 * Who can be in a room with a server. Ordinary homeservers cannot get the key of a name that is a key and no more, so
 * that the two keep apart. It is asked of every server of a room, so the form decides: a label that only looks like a key
 * is of a server that cuts off nobody but itself. DESIGN section 2
 */
export function canMeet(name: ServerName): (other: ServerName) => boolean {
  const hasKey = KEY_FORM.test(name)
  const isBare = isBareName(name)
  return (other) => (isBare ? KEY_FORM.test(other) : hasKey || other.includes('.') || !KEY_FORM.test(other))
}

/** Where such a server is, no ordinary homeserver can be. */
export function isBareName(name: ServerName): boolean {
  return KEY_FORM.test(name) && !name.includes('.')
}
