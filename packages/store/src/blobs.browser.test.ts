import { deleteDB } from 'idb'
import { describe, expect, it } from 'vitest'
import type { Blobs } from '@plexus/engine/ports'
import { openBrowserBlobs, openIdbBlobs, openOpfsBlobs } from './blobs-browser.ts'
import type { BlobsAnswer, BlobsCall } from './blobs-worker.fixture.ts'
import { blobsContract } from './contract/index.ts'

const fresh = (): string => `plexus-test-${crypto.randomUUID()}`

const removeFolder = async (name: string): Promise<void> => {
  await (await navigator.storage.getDirectory()).removeEntry(name, { recursive: true })
}

async function opfs(name: string): Promise<Blobs> {
  const blobs = await openOpfsBlobs(name)
  if (blobs === undefined) throw new Error('this browser has no origin private file system')
  return blobs
}

blobsContract('IndexedDB', async () => {
  const name = fresh()
  return { open: () => openIdbBlobs(name), remove: () => deleteDB(name) }
})

blobsContract('origin private file system, page', async () => {
  const name = fresh()
  return { open: () => opfs(name), remove: () => removeFolder(name) }
})

blobsContract('origin private file system, worker', async () => {
  const name = fresh()
  const workers: Worker[] = []
  return {
    open: async () => {
      const worker = new Worker(new URL('blobs-worker.fixture.ts', import.meta.url), { type: 'module' })
      workers.push(worker)
      return remoteBlobs(worker, name)
    },
    remove: async () => {
      for (const worker of workers) worker.terminate()
      await removeFolder(name)
    },
  }
})

type Ask<Call> = Call extends unknown ? Omit<Call, 'id'> : never

async function remoteBlobs(worker: Worker, name: string): Promise<Blobs> {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let calls = 0
  worker.addEventListener('message', ({ data }: MessageEvent<BlobsAnswer>) => {
    if (data.error === undefined) waiting.get(data.id)?.resolve(data.value)
    else waiting.get(data.id)?.reject(new Error(data.error))
  })
  worker.addEventListener('error', (event) => {
    for (const { reject } of waiting.values()) reject(new Error(event.message))
  })
  const ask = (call: Ask<BlobsCall>): Promise<unknown> => {
    const id = calls
    calls += 1
    const answer = Promise.withResolvers<unknown>()
    waiting.set(id, answer)
    worker.postMessage({ ...call, id }, [])
    return answer.promise
  }
  expect(await ask({ kind: 'open', name })).toBe(true)
  return {
    put: async (bytes) => String(await ask({ kind: 'put', bytes })),
    get: async (hash) => (await ask({ kind: 'get', hash })) as Uint8Array | undefined,
    delete: async (hash) => {
      await ask({ kind: 'delete', hash })
    },
  }
}

describe('blobs in the browser', () => {
  const bytes = new TextEncoder().encode('abc')

  it('lie in the origin private file system where there is one', async () => {
    const name = fresh()
    const hash = await (await openBrowserBlobs(name)).put(bytes)
    expect(await (await opfs(name)).get(hash)).toEqual(bytes)
    await removeFolder(name)
  })

  it('count as absent when damaged, and the next put heals them', async () => {
    const name = fresh()
    const blobs = await opfs(name)
    const hash = await blobs.put(bytes)
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(name)
    const stream = await (await folder.getFileHandle(hash)).createWritable()
    await stream.write('ab')
    await stream.close()
    expect(await blobs.get(hash)).toBeUndefined()
    await blobs.put(bytes)
    expect(await blobs.get(hash)).toEqual(bytes)
    await removeFolder(name)
  })

  it('leave nothing half-written behind an opening', async () => {
    const name = fresh()
    await opfs(name)
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(name)
    await folder.getFileHandle('left.unfinished', { create: true })
    await opfs(name)
    const names: string[] = []
    for await (const each of folder.keys()) names.push(each)
    expect(names).toEqual([])
    await removeFolder(name)
  })
})
