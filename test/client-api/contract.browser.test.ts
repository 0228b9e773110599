/** The contract of the Client-Server API, with nodes on IndexedDB in a browser. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { nameOfKey, verifyEd25519 } from '@plexus/core/names'
import { openIdbBlobs } from '@plexus/store/blobs-browser'
import { openIdbStore } from '@plexus/store/idb'
import { expect, it } from 'vitest'
import { createVirtualClock } from '../kit/virtual-clock.ts'
import type { NodeInit } from '../kit/whole-node.ts'
import { contract } from './contract/index.ts'

/** Calls of the browser's databases that did not answer yet. */
let underway = 0

/** Counts the calls of a port. */
function counted<Port extends object>(port: Port): Port {
  return new Proxy(port, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return async (...args: unknown[]): Promise<unknown> => {
        underway += 1
        try {
          return await (value.apply(target, args) as Promise<unknown>)
        } finally {
          underway -= 1
        }
      }
    },
  })
}

/** A turn of the event loop; timers of browsers are slower than that. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.addEventListener('message', () => {
      port1.close()
      resolve()
    })
    port1.start()
    port2.postMessage(undefined)
  })
}

async function settled(): Promise<void> {
  do await turn()
  while (underway > 0)
}

/** Answers at once, so that nothing but the databases has to be waited for. */
function keysOf(index: number): NodeInit['keys'] {
  const secret = new Uint8Array(32).fill(index + 1)
  const ownKey = ed25519.getPublicKey(secret)
  return {
    signer: {
      name: nameOfKey(ownKey),
      keyId: 'ed25519:1',
      publicKey: ownKey,
      sign: async (bytes) => ed25519.sign(bytes, secret),
    },
    verifier: {
      verify: async (checks) =>
        checks.map(({ publicKey, message, signature }) => verifyEd25519(publicKey, message, signature)),
    },
  }
}

const run = crypto.randomUUID()
const nameOf = (index: number): string => `contract-${run}-${index}`

contract({
  clock: createVirtualClock(undefined, settled),
  async initOf(index) {
    const name = nameOf(index)
    return {
      seed: 1 + index,
      keys: keysOf(index),
      store: counted(await openIdbStore(name)),
      blobs: counted(await openIdbBlobs(`${name}-blobs`)),
    }
  },
})

it('all of that is in the database of the browser', async () => {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const opening = indexedDB.open(nameOf(0))
    opening.addEventListener('success', () => resolve(opening.result))
    opening.addEventListener('error', () => reject(new Error(String(opening.error))))
  })
  const count = await new Promise<number>((resolve) => {
    const counting = database.transaction('kv').objectStore('kv').count()
    counting.addEventListener('success', () => resolve(counting.result))
  })
  database.close()
  expect(count).toBeGreaterThan(1_000)
})
