import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'

/** A new transport key, one per device: a libp2p Ed25519 private key in its protobuf form. Secret. */
export async function generateTransportKey(): Promise<Uint8Array> {
  return privateKeyToProtobuf(await generateKeyPair('Ed25519'))
}

/** The peer id of a transport key. @throws for bytes that are no key */
export function peerIdOfKey(transportKey: Uint8Array): string {
  return peerIdFromPrivateKey(privateKeyFromProtobuf(transportKey)).toString()
}
