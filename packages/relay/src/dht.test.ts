import type { PeerId } from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import { accountKey } from '@plexus/core/names'
import { expect, it } from 'vitest'
import { putRecord } from './dht.ts'
import { createRecipient } from './testing/recipients.ts'

const NOW = Date.UTC(2026, 0, 1)
const idOf = (text: string): PeerId => ({ toString: () => text }) as PeerId
const response = (from: string): object => ({
  name: 'PEER_RESPONSE',
  messageName: 'PUT_VALUE',
  from: idOf(from),
})

it('a record is put to the relays that the operator named, whoever is nearest to its key, and each is counted once', async () => {
  const asked: string[] = []
  const dht = {
    network: {
      async *sendRequest(to: PeerId, { type }: { type: string }) {
        asked.push(`${type} ${to.toString()}`)
        yield to.toString() === 'away' ? { name: 'QUERY_ERROR' } : response(to.toString())
      },
    },
    async *put() {
      yield response('nearest')
      yield response('both')
    },
  } as unknown as KadDHT
  const owner = createRecipient(NOW)
  const published = { key: accountKey(owner.name), signed: owner.record() }
  const named = ['one', 'away', 'both'].map(idOf)
  let taken = 0
  for await (const _ of putRecord(dht, { published, named }, AbortSignal.timeout(1_000))) taken += 1
  expect(asked).toEqual(['PUT_VALUE one', 'PUT_VALUE away', 'PUT_VALUE both'])
  expect(taken).toBe(3)
})
