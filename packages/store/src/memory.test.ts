import { describe, expect, it } from 'vitest'
import type { Write } from '@plexus/engine/ports'
import { createMemoryBlobs } from './blobs-memory.ts'
import type { BlobMemory } from './blobs-memory.ts'
import { blobsContract, storeContract } from './contract/index.ts'
import { createMemoryDisk, createMemoryStore, openMemoryStore } from './memory.ts'
import type { Fault } from './memory.ts'

storeContract('memory', async () => {
  const disk = createMemoryDisk()
  return { open: (options) => openMemoryStore(disk, options), remove: async () => disk.kill() }
})

blobsContract('memory', async () => {
  const memory: BlobMemory = new Map()
  return { open: async () => createMemoryBlobs(memory), remove: async () => memory.clear() }
})

const put = (key: string, value: string): Write => ({ map: 'map', key, value })
const all = ['map', '', '\u00ff'] as const

describe('memory disk', () => {
  it('gives each store of createMemoryStore a disk of its own', async () => {
    const [one, two] = [await createMemoryStore(), await createMemoryStore()]
    await one.commit([put('a', '1')], 'relaxed')
    expect(await two.get('map', 'a')).toBeUndefined()
  })

  it('loses nothing that was committed when its process is killed', async () => {
    const disk = createMemoryDisk({ losesPower: true })
    const store = await openMemoryStore(disk)
    await store.commit([put('a', '1')], 'relaxed')
    disk.kill()
    await expect(store.get('map', 'a')).rejects.toMatchObject({ code: 'closed' })
    await expect(store.commit([put('a', '2')], 'strict')).rejects.toMatchObject({ code: 'closed' })
    expect(await (await openMemoryStore(disk)).range(...all)).toEqual([['a', '1']])
  })

  it.each([
    [
      0,
      [
        ['a', 'strict'],
        ['b', 'strict'],
      ],
    ],
    [
      1,
      [
        ['a', 'relaxed 1'],
        ['b', 'strict'],
      ],
    ],
    [
      2,
      [
        ['b', 'strict'],
        ['c', 'relaxed 2'],
      ],
    ],
  ] as const)(
    'keeps %i of the relaxed commits after the last strict one when power is cut',
    async (kept, expected) => {
      const disk = createMemoryDisk({ losesPower: true })
      const store = await openMemoryStore(disk)
      await store.commit([put('b', 'relaxed 0')], 'relaxed')
      await store.commit([put('a', 'strict'), put('b', 'strict')], 'strict')
      expect(disk.unflushed).toBe(0)
      await store.commit([put('a', 'relaxed 1'), put('a', 'relaxed 1')], 'relaxed')
      await store.commit([{ map: 'map', key: 'a', value: undefined }, put('c', 'relaxed 2')], 'relaxed')
      expect(disk.unflushed).toBe(2)
      disk.cutPower(kept)
      expect(await (await openMemoryStore(disk)).range(...all)).toEqual(expected)
    },
  )

  it.each([
    ['full', 'full', false],
    ['failed', 'failed', false],
    ['crash-before', 'closed', false],
    ['crash-after', 'closed', true],
  ] as const)('injects the fault %s', async (fault, code, applied) => {
    const faults: Fault[] = ['none', fault]
    const seen: number[] = []
    const disk = createMemoryDisk({
      fault: ({ number, writes }) => {
        seen.push(number, writes.length)
        return faults[number] ?? 'none'
      },
    })
    const store = await openMemoryStore(disk)
    await store.commit([put('a', '1')], 'relaxed')
    await expect(store.commit([put('a', '2'), put('b', '2')], 'relaxed')).rejects.toMatchObject({ code })
    const again = await openMemoryStore(disk)
    expect(await again.getMany('map', ['a', 'b'])).toEqual(applied ? ['2', '2'] : ['1', undefined])
    await again.commit([put('c', '3')], 'relaxed')
    expect(seen).toEqual([0, 1, 1, 2, 2, 1])
  })

  it('refuses a commit whose owner was replaced while its fault was being decided', async () => {
    const decision = Promise.withResolvers<Fault>()
    const disk = createMemoryDisk({ fault: () => decision.promise })
    const old = await openMemoryStore(disk)
    const late = old.commit([put('a', '1')], 'relaxed')
    await old.get('map', 'a')
    const current = await openMemoryStore(disk)
    decision.resolve('none')
    await expect(late).rejects.toMatchObject({ code: 'fenced' })
    expect(await current.range(...all)).toEqual([])
  })
})
