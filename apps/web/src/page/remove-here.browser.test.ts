import { openDB } from 'idb'
import { expect, it, vi } from 'vitest'
import { KEYS } from '../shared/databases.ts'
import { removeAll } from './remove-here.ts'

const names = async (): Promise<readonly (string | undefined)[]> =>
  (await indexedDB.databases()).map(({ name }) => name)

it('removes the keys of an account before all else, and all else', async () => {
  const others = ['a', 'plexus', 'z']
  for (const name of [...others, KEYS]) (await openDB(name, 1)).close()
  const folder = await navigator.storage.getDirectory()
  await folder.getFileHandle('media', { create: true })
  const asked = Promise.withResolvers<void>()
  // Whoever has one open keeps it from being deleted.
  const held = await openDB('a', 1, { blocking: () => asked.resolve() })
  const removed = removeAll()
  await asked.promise
  const left = await names()
  held.close()
  await removed
  expect(left).toEqual(expect.arrayContaining(others))
  expect(left).not.toContain(KEYS)
  expect(await names()).toEqual([])
  for await (const name of folder.keys()) expect(name).toBeUndefined()
})

it('removes an account also where the browser refuses files', async () => {
  ;(await openDB('plexus', 1)).close()
  const refused = vi
    .spyOn(navigator.storage, 'getDirectory')
    .mockRejectedValue(new DOMException('in private mode', 'SecurityError'))
  await removeAll()
  refused.mockRestore()
  expect(await names()).toEqual([])
})
