import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, PeerId, Stream, StreamHandler } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { describe, expect, it } from 'vitest'
import { guardSignaling } from './signaling.ts'

const PROTOCOL = '/webrtc-signaling/0.0.1'

const newPeer = async (): Promise<PeerId> => peerIdFromPrivateKey(await generateKeyPair('Ed25519'))

/** Answers with what became of a stream that the peer opens. */
async function knock(friend: PeerId, peer: PeerId): Promise<string> {
  let outcome = 'nothing'
  let handler: StreamHandler = () => void (outcome = 'answered')
  const options = { runOnLimitedConnection: true }
  await guardSignaling(
    {
      getProtocols: () => [PROTOCOL],
      getHandler: () => ({ handler, options }),
      async handle(protocol, guarded, given) {
        expect([protocol, given]).toEqual([PROTOCOL, { ...options, force: true }])
        handler = guarded
      },
    },
    async (other) => other.equals(friend),
  )
  const stream = { abort: () => void (outcome = 'refused') } as unknown as Stream
  await handler(stream, { remotePeer: peer } as Connection)
  return outcome
}

describe('a WebRTC connection through a relay', () => {
  it('is arranged for friends, and for no stranger', async () => {
    const [friend, stranger] = [await newPeer(), await newPeer()]
    expect(await knock(friend, friend)).toBe('answered')
    expect(await knock(friend, stranger)).toBe('refused')
  })

  it('is not looked after where there is no WebRTC', async () => {
    const never = (): never => {
      throw new Error('not asked')
    }
    const registrar = { getProtocols: () => [], getHandler: never, handle: never }
    await expect(guardSignaling(registrar, never)).resolves.toBeUndefined()
  })
})
