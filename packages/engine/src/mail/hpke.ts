/** The Sealer: HPKE in base mode (RFC 9180) on the WebCrypto of the platform. */
import {
  Aes256Gcm,
  CipherSuite,
  DhkemX25519HkdfSha256,
  HkdfSha256,
  type AeadInterface,
  type CipherSuiteParams,
} from '@hpke/core'
import { expand, extract } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes } from '@noble/hashes/utils.js'
import type { Sealer } from '../ports.ts'

/** Bytes of the encapsulated key, which a sealed text begins with. */
const ENCAPSULATED_BYTES = 32

type Bytes = ArrayBufferLike | ArrayBufferView

/** The key schedule at once: each of its ten steps is a turn of the event loop where WebCrypto does it. */
class Hkdf extends HkdfSha256 {
  override extract(salt: Bytes, ikm: Bytes): Promise<ArrayBuffer> {
    return Promise.resolve(bufferOf(extract(sha256, bytesOf(ikm), bytesOf(salt))))
  }

  override extractAndExpand(salt: Bytes, ikm: Bytes, info: Bytes, length: number): Promise<ArrayBuffer> {
    const key = extract(sha256, bytesOf(ikm), bytesOf(salt))
    return Promise.resolve(bufferOf(expand(sha256, key, bytesOf(info), length)))
  }
}

/** DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and `aead`. */
export function createSuite(aead: AeadInterface): CipherSuite {
  const params: CipherSuiteParams = { kem: new DhkemX25519HkdfSha256(), kdf: new Hkdf(), aead }
  return new CipherSuite(params)
}

/** Asks for X25519 in the WebCrypto of the platform, which Node 26 and Chromium 133 have. */
export function createSealer(): Sealer {
  const suite = createSuite(new Aes256Gcm())
  const { kem } = suite
  return {
    async makeKey() {
      const pair = await kem.generateKeyPair()
      const [publicKey, privateKey] = await Promise.all([
        kem.serializePublicKey(pair.publicKey),
        kem.serializePrivateKey(pair.privateKey),
      ])
      return { publicKey: bytesOf(publicKey), privateKey: bytesOf(privateKey) }
    },
    async seal(publicKey, info, text) {
      const recipientPublicKey = await kem.deserializePublicKey(publicKey)
      const { enc, ct } = await suite.seal({ recipientPublicKey, info }, text)
      return concatBytes(bytesOf(enc), bytesOf(ct))
    },
    async open(pair, info, sealed) {
      const [publicKey, privateKey] = await Promise.all([
        kem.deserializePublicKey(pair.publicKey),
        kem.deserializePrivateKey(pair.privateKey),
      ])
      const recipient = {
        recipientKey: { publicKey, privateKey },
        enc: sealed.subarray(0, ENCAPSULATED_BYTES),
        info,
      }
      return suite.open(recipient, sealed.subarray(ENCAPSULATED_BYTES)).then(bytesOf, () => undefined)
    },
  }
}

function bytesOf(data: Bytes): Uint8Array {
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data)
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}
