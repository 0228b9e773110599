/** What the platform itself can do, so that figures of two machines can be compared. No code of Plexus. */

const RECORD = 'r'.repeat(1_200)

/** Ed25519 verifications per second by WebCrypto, one after the other. */
export async function verifyRate(count: number): Promise<number> {
  const { publicKey, privateKey } = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])
  const message = new TextEncoder().encode(RECORD)
  const signature = await crypto.subtle.sign('Ed25519', privateKey, message)
  return rateOf(count, async () => {
    await crypto.subtle.verify('Ed25519', publicKey, signature, message)
  })
}

/** How often `once` runs in a second, one run after the other. */
export async function rateOf(count: number, once: (index: number) => Promise<void> | void): Promise<number> {
  const start = performance.now()
  for (let index = 0; index < count; index += 1) await once(index)
  return (count / (performance.now() - start)) * 1_000
}

/** Commits per second of one record of 1.2 kB, each waited for. Needs IndexedDB; `name` is made and deleted. */
export async function idbCommitRate(name: string, count: number): Promise<number> {
  const opening = indexedDB.open(name, 1)
  opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore('records'))
  await succeeded(opening)
  const database = opening.result
  const rate = await rateOf(count, async (index) => {
    const transaction = database.transaction('records', 'readwrite', { durability: 'relaxed' })
    const completed = happened(transaction, 'complete')
    transaction.objectStore('records').put(RECORD, index)
    await completed
  })
  database.close()
  await succeeded(indexedDB.deleteDatabase(name))
  return rate
}

const succeeded = (request: IDBRequest): Promise<void> => happened(request, 'success')

function happened(target: EventTarget, type: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  target.addEventListener(type, () => resolve())
  target.addEventListener('error', () => reject(new Error('IndexedDB failed')))
  return promise
}
