import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { ServerName } from '@plexus/core'
import { accountRecords } from '@plexus/core/names'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { MAX_CACHED_MAILBOXES } from '../limits.ts'
import { ACCESS_HASH, createRecipient } from '../testing/recipients.ts'
import { createBoxes } from './sqlite-boxes.ts'
import { openSqliteMailStore } from './sqlite-mail-store.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plexus-boxes-'))
})
afterEach(() => rm(folder, { recursive: true }))

it('so many mailboxes are kept in memory, and any other is read again', async () => {
  const path = join(folder, 'mail.db')
  await openSqliteMailStore(path, { maxBytes: 100_000_000 })[Symbol.asyncDispose]()
  using database = new DatabaseSync(path)
  const record = JSON.stringify(accountRecords.json(createRecipient(Date.now()).record()))
  const insert = database.prepare(
    'INSERT INTO box (name, record, access, expires, last) VALUES (?, ?, ?, 1, 0)',
  )
  const nameAt = (n: number): ServerName => `name-${n}` as ServerName
  database.exec('BEGIN')
  for (let n = 0; n <= MAX_CACHED_MAILBOXES; n += 1) insert.run(nameAt(n), record, ACCESS_HASH)
  database.exec('COMMIT')
  const boxes = createBoxes(database, () => undefined)
  const read = Array.from({ length: MAX_CACHED_MAILBOXES }, (_, n) => boxes.get(nameAt(n)))
  expect(boxes.get(nameAt(0))).toBe(read[0])
  boxes.get(nameAt(MAX_CACHED_MAILBOXES))
  expect(boxes.get(nameAt(0))).toBe(read[0])
  const again = boxes.get(nameAt(1))
  expect(again).not.toBe(read[1])
  expect(again).toEqual(read[1])
})
