import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createRecipient, sha256 } from '../testing/recipients.ts'
import { isAsClosed, markClosed } from './closed-mark.ts'
import type { MailStore } from './mail-store.ts'
import { mendSqliteMailStore, openSqliteMailStore } from './sqlite-mail-store.ts'

vi.mock(import('node:fs'), async (original) => {
  const real = await original()
  return { ...real, renameSync: vi.fn(real.renameSync) }
})

const NOW = Date.UTC(2026, 0, 1)
const ROOMY = { mails: 1_000, bytes: 1_000_000 }

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plexus-salvage-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

it('is begun anew by the next start where it was cut off before the last step', async () => {
  const path = join(folder, 'mail.db')
  const owner = createRecipient(NOW)
  {
    await using store = openSqliteMailStore(path, { maxBytes: 10_000_000 })
    await store.register(owner.mailbox(), 10)
    for (let n = 0; n < 40; n += 1) {
      const mail = owner.mail('', { bytes: new Uint8Array(3_000).fill(n) })
      await store.deposit({ mail, hash: sha256(mail.bytes), quota: ROOMY, now: NOW })
    }
  }
  const file = await open(path, 'r+')
  const pages = (await file.stat()).size / 4_096
  await file.write(Buffer.alloc(4_096, 0xff), 0, 4_096, Math.floor(pages / 2) * 4_096)
  await file.close()
  const rename = vi.mocked(renameSync)
  const real = rename.getMockImplementation()
  rename.mockImplementation((from, to) => {
    if (to === path) throw new Error('killed')
    real?.(from, to)
  })
  expect(() => mendSqliteMailStore(path, NOW)).toThrow('killed')
  rename.mockImplementation(real ?? (() => undefined))
  expect(mendSqliteMailStore(path, NOW + 1)?.mails).toBeGreaterThan(30)
})

it('is for a database that is not as it was closed, or was found to be damaged before', async () => {
  const path = join(folder, 'mail.db')
  const owner = createRecipient(NOW)
  const openHere = (): MailStore => openSqliteMailStore(path, { maxBytes: 10_000_000 })
  {
    await using store = openHere()
    await store.register(owner.mailbox(), 10)
    expect(isAsClosed(path)).toBe(false)
  }
  expect(isAsClosed(path)).toBe(true)
  // One from a backup.
  copyFileSync(path, `${path}.old`)
  renameSync(`${path}.old`, path)
  expect(isAsClosed(path)).toBe(false)
  await openHere()[Symbol.asyncDispose]()
  // A page that the disk changed since is met by who needs it, and then the file is read.
  writeFileSync(path, readFileSync(path).fill(0xff, 4_096))
  markClosed(path)
  expect(mendSqliteMailStore(path, NOW)).toBeUndefined()
  {
    await using store = openHere()
    await expect(store.mailbox(owner.name)).rejects.toMatchObject({ code: 'failed' })
  }
  expect(mendSqliteMailStore(path, NOW)).toBeDefined()
})
