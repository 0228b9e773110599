/** Servers that sign events without being any node. */
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import {
  encodeBase64,
  signingBytes,
  withSignature,
  type KeyId,
  type Pdu,
  type ServerName,
} from '@plexus/core'
import { nameOfKey } from '@plexus/core/names'
import { VERSION } from './made-room.ts'

export type Author = {
  readonly name: ServerName
  readonly keyId: KeyId
  /** In unpadded base64. */
  readonly publicKey: string
  /** A signature in unpadded base64. */
  readonly signBytes: (bytes: Uint8Array) => string
  readonly sign: (pdu: Pdu) => Pdu
}

/** Signs synchronously, fast enough for tens of thousands of events. Its key is its name unless it has another. */
export function createAuthor(name?: ServerName): Author {
  const pair = generateKeyPairSync('ed25519')
  const raw = new Uint8Array(pair.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32))
  const key = createPrivateKey(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const own = name ?? nameOfKey(raw)
  const keyId = 'ed25519:0' as KeyId
  const signBytes = (bytes: Uint8Array): string => encodeBase64(sign(null, bytes, key))
  return {
    name: own,
    keyId,
    publicKey: encodeBase64(raw),
    signBytes,
    sign: (pdu) => withSignature(pdu, own, keyId, signBytes(signingBytes(VERSION, pdu))),
  }
}
