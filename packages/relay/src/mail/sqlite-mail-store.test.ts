import { copyFile, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { JsonObject } from '@plexus/core'
import type { Place } from '@plexus/engine/ports'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { mailStoreContract } from '../contract/mail-store-contract.ts'
import { createRecipient, deviceAt, sha256 } from '../testing/recipients.ts'
import {
  DISK_RESERVE_BYTES,
  mendSqliteMailStore,
  openSqliteMailStore,
  placeSqliteMailStore,
} from './sqlite-mail-store.ts'

const NOW = Date.UTC(2026, 0, 1)
const ROOMY = { mails: 10_000, bytes: 100_000_000 }
const makeFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'plexus-mail-'))

mailStoreContract('SQLite', async () => {
  const folder = await makeFolder()
  return {
    open: async () => openSqliteMailStore(join(folder, 'mail.db'), { maxBytes: 100_000_000 }),
    remove: () => rm(folder, { recursive: true }),
  }
})

describe('mail in SQLite', () => {
  let folder: string
  beforeEach(async () => {
    folder = await makeFolder()
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('takes no more when the space allowed is used up, until mail is acknowledged', async () => {
    const owner = createRecipient(NOW)
    await using store = openSqliteMailStore(join(folder, 'mail.db'), { maxBytes: 400_000 })
    await store.register(owner.mailbox(), 10)
    const put = (n: number): ReturnType<typeof store.deposit> => {
      const mail = owner.mail('', { bytes: new Uint8Array(100_000).fill(n) })
      return store.deposit({ mail, hash: sha256(mail.bytes), quota: ROOMY, now: NOW })
    }
    const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => put(n)))
    expect(answers.slice(0, 3)).toEqual(['kept', 'kept', 'kept'])
    expect(answers.slice(4)).toEqual(['quota', 'quota', 'quota', 'quota'])
    expect(await put(0)).toBe('known')
    const kept = await store.fetch(owner.name, 0, ROOMY)
    for (const n of [0, 1]) await store.acknowledge(owner.name, deviceAt(n), kept.at(-1)?.cursor ?? 0)
    expect(await put(99)).toBe('kept')
  })

  /** Overwrites the pages of a database that `isHit` says, counted from 0. */
  async function damage(path: string, isHit: (page: number, pages: number) => boolean): Promise<void> {
    const file = await open(path, 'r+')
    const pages = Math.floor((await file.stat()).size / 4_096)
    for (let page = 1; page < pages; page += 1)
      if (isHit(page, pages)) await file.write(Buffer.alloc(4_096, 0xff), 0, 4_096, page * 4_096)
    await file.close()
  }

  it('gives no one-time keys that a copy has which was put in its place, until its owner brings others', async () => {
    const path = join(folder, 'mail.db')
    const owner = createRecipient(NOW)
    const { name, user } = owner
    const keyOf = (id: string): JsonObject => ({ [`signed_curve25519:${id}`]: { key: id } })
    /** One life of a relay: what it gives out, of what it has and is brought. */
    const live = async (place: Place, bring: readonly string[] = []): Promise<unknown[]> => {
      const isCopy = placeSqliteMailStore(path, place)
      await using store = openSqliteMailStore(path, { maxBytes: 10_000_000 })
      await store.register(owner.mailbox(), 10)
      const keys = { A: { add: bring.map(keyOf), fallback: keyOf('f') } }
      const counts = await store.stock({ name, shelf: owner.shelf(), keys, maxShelves: 1, maxKeys: 9 })
      return [isCopy, counts, await store.claim({ name, user, device: 'A', mayTake: true })]
    }
    const left = (count: number): unknown =>
      expect.objectContaining({ A: { left: count, fallbackUsed: false } })
    expect(await live({ before: undefined, now: '1' }, ['a', 'b', 'c'])).toEqual([false, left(3), keyOf('a')])
    await copyFile(path, `${path}.backup`)
    expect(await live({ before: '1', now: '2' })).toEqual([false, left(2), keyOf('b')])
    await copyFile(`${path}.backup`, path)
    expect(await live({ before: '2', now: '3' })).toEqual([true, left(0), keyOf('f')])
    expect((await live({ before: '3', now: '4' }, ['d'])).slice(2)).toEqual([keyOf('d')])
  })

  it('is closed with a clear error when a page of it is damaged, and takes nothing more', async () => {
    const path = join(folder, 'mail.db')
    const owner = createRecipient(NOW)
    const opened = openSqliteMailStore(path, { maxBytes: 10_000_000 })
    await opened.register(owner.mailbox(), 10)
    await opened[Symbol.asyncDispose]()
    await damage(path, () => true)
    await using store = openSqliteMailStore(path, { maxBytes: 10_000_000 })
    await expect(store.mailbox(owner.name)).rejects.toMatchObject({ name: 'StoreError', code: 'failed' })
    await expect(store.register(owner.mailbox(), 10)).rejects.toBe(store.failure)
  })

  it('takes no more while the disk has room for little else, until mail is acknowledged', async () => {
    const owner = createRecipient(NOW)
    let diskBytes = DISK_RESERVE_BYTES + 250_000
    const options = { maxBytes: 100_000_000, diskBytes: () => diskBytes }
    await using store = openSqliteMailStore(join(folder, 'mail.db'), options)
    await store.register(owner.mailbox(), 10)
    const put = (n: number): ReturnType<typeof store.deposit> => {
      const mail = owner.mail('', { bytes: new Uint8Array(100_000).fill(n) })
      return store.deposit({ mail, hash: sha256(mail.bytes), quota: ROOMY, now: NOW })
    }
    expect([await put(1), await put(2), await put(3)]).toEqual(['kept', 'kept', 'quota'])
    diskBytes = DISK_RESERVE_BYTES - 1
    expect(await put(3)).toBe('quota')
    expect(
      await store.stock({ name: owner.name, shelf: owner.shelf(), keys: {}, maxShelves: 2, maxKeys: 9 }),
    ).toBe('quota')
    const kept = await store.fetch(owner.name, 0, ROOMY)
    for (const n of [0, 1]) await store.acknowledge(owner.name, deviceAt(n), kept.at(-1)?.cursor ?? 0)
    expect(await put(3)).toBe('kept')
  })

  it('is put aside where it is damaged, and what can be read of it goes on', async () => {
    const path = join(folder, 'mail.db')
    const owner = createRecipient(NOW)
    const count = 200
    {
      await using store = openSqliteMailStore(path, { maxBytes: 10_000_000 })
      await store.register(owner.mailbox(), 10)
      const put = (n: number): ReturnType<typeof store.deposit> => {
        const mail = owner.mail('', { bytes: new Uint8Array(3_000).fill(n) })
        return store.deposit({ mail, hash: sha256(mail.bytes), quota: ROOMY, now: NOW })
      }
      await Promise.all(Array.from({ length: count }, (_, n) => put(n)))
    }
    expect(mendSqliteMailStore(path, NOW)).toBeUndefined()
    await damage(path, (page, pages) => page === Math.floor(pages / 2))
    const salvaged = mendSqliteMailStore(path, NOW)
    expect(salvaged).toMatchObject({ aside: `${path}.damaged-${NOW}`, mailboxes: 1 })
    expect(mendSqliteMailStore(path, NOW)).toBeUndefined()
    await using store = openSqliteMailStore(path, { maxBytes: 10_000_000 })
    const kept = await store.fetch(owner.name, 0, ROOMY)
    expect(kept).toHaveLength(salvaged?.mails ?? 0)
    expect(kept.length).toBeGreaterThan(count * 0.9)
    expect(kept.length).toBeLessThan(count)
    expect(kept.map(({ mail }) => new Set(mail.bytes).size)).toEqual(kept.map(() => 1))
    expect(await readFile(`${path}.damaged-${NOW}`)).not.toHaveLength(0)
  })

  it('gives cursors that rise also after an old copy was put in its place', async () => {
    const owner = createRecipient(NOW)
    const put = async (text: string, now: number, path: string): Promise<number> => {
      await using store = openSqliteMailStore(path, { maxBytes: 10_000_000 })
      await store.register(owner.mailbox(), 10)
      const mail = owner.mail(text)
      await store.deposit({ mail, hash: sha256(mail.bytes), quota: ROOMY, now })
      return (await store.fetch(owner.name, 0, ROOMY)).at(-1)?.cursor ?? Number.NaN
    }
    const path = join(folder, 'mail.db')
    await put('a', NOW, path)
    await copyFile(path, join(folder, 'old.db'))
    const lost = await put('b', NOW + 5, path)
    expect(await put('c', NOW + 6, join(folder, 'old.db'))).toBeGreaterThan(lost)
  })

  it('opens what the version before it wrote', async () => {
    const owner = createRecipient(NOW)
    const path = join(folder, 'mail.db')
    const mail = owner.mail('a')
    {
      await using store = openSqliteMailStore(path, { maxBytes: 10_000_000 })
      await store.register(owner.mailbox(), 10)
      await store.deposit({ mail, hash: sha256(mail.bytes), quota: ROOMY, now: NOW })
    }
    const database = new DatabaseSync(path)
    database.exec(
      'ALTER TABLE mail DROP COLUMN sealed; DROP TABLE shelf; DROP TABLE shelf_key; DROP TABLE life; PRAGMA user_version = 1',
    )
    database.close()
    await using store = openSqliteMailStore(path, { maxBytes: 10_000_000 })
    expect(await store.fetch(owner.name, 0, ROOMY)).toMatchObject([{ mail: { expires: mail.expires } }])
    expect(await store.shelf(owner.name, owner.user)).toBeUndefined()
  })

  it('is not opened by an older program', () => {
    const path = join(folder, 'mail.db')
    const database = new DatabaseSync(path)
    database.exec('PRAGMA user_version = 5')
    database.close()
    expect(() => openSqliteMailStore(path, { maxBytes: 1_000_000 })).toThrow(/newer program/)
  })

  it('takes nothing after its end', async () => {
    const store = openSqliteMailStore(join(folder, 'mail.db'), { maxBytes: 1_000_000 })
    await store[Symbol.asyncDispose]()
    await expect(store.register(createRecipient(NOW).mailbox(), 1)).rejects.toMatchObject({ code: 'closed' })
  })
})
