import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openFileBlobs } from './blobs-files.ts'
import { blobsContract } from './contract/index.ts'

const makeFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'plexus-blobs-'))

blobsContract('files', async () => {
  const folder = await makeFolder()
  return { open: () => openFileBlobs(folder), remove: () => rm(folder, { recursive: true }) }
})

describe('blob files', () => {
  let folder: string
  beforeEach(async () => {
    folder = await makeFolder()
  })
  afterEach(() => rm(folder, { recursive: true }))

  const bytes = new TextEncoder().encode('abc')
  /** FIPS 180-4, SHA-256 of "abc". */
  const ABC_FILE = ['ba', '7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'] as const

  it('names a file by the hash in hexadecimal and leaves nothing else', async () => {
    await (await openFileBlobs(folder)).put(bytes)
    expect((await readdir(folder, { recursive: true })).toSorted()).toEqual(
      ['ba', join(...ABC_FILE), 'unfinished'].toSorted(),
    )
  })

  it('counts a damaged file as absent, and the next put heals it', async () => {
    const blobs = await openFileBlobs(folder)
    const hash = await blobs.put(bytes)
    await truncate(join(folder, ...ABC_FILE), 2)
    expect(await blobs.get(hash)).toBeUndefined()
    await blobs.put(bytes)
    expect(await readFile(join(folder, ...ABC_FILE), 'utf8')).toBe('abc')
  })

  it('removes at opening what a crash left half-written', async () => {
    await openFileBlobs(folder)
    await writeFile(join(folder, 'unfinished', 'left'), 'ab')
    await openFileBlobs(folder)
    expect(await readdir(join(folder, 'unfinished'))).toEqual([])
  })

  it('answers failed when the shelf cannot be made, and leaves nothing half-written', async () => {
    const blobs = await openFileBlobs(folder)
    await writeFile(join(folder, 'ba'), 'a file where a folder should be')
    await expect(blobs.put(bytes)).rejects.toMatchObject({ name: 'StoreError', code: 'failed' })
    expect(await readdir(join(folder, 'unfinished'))).toEqual([])
  })
})
