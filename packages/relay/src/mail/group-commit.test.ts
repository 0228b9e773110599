import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MAX_COMMIT_WRITES } from '../limits.ts'
import { createGroupCommit, type GroupCommit } from './group-commit.ts'

let folder = ''
let database: DatabaseSync
let commits: GroupCommit
let undone = 0
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plexus-commit-'))
  const path = join(folder, 'test.db')
  database = new DatabaseSync(path)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA max_page_count = 40; CREATE TABLE kept (value TEXT)')
  undone = 0
  commits = createGroupCommit(database, path, () => (undone += 1))
})
afterEach(async () => {
  await commits[Symbol.asyncDispose]()
  database.close()
  await rm(folder, { recursive: true })
})

const put = (value: string): Promise<unknown> =>
  commits.write(() => database.prepare('INSERT INTO kept VALUES (?)').run(value).changes)
const count = (): unknown => database.prepare('SELECT COUNT(*) AS n FROM kept').get()?.['n']

describe('a group commit', () => {
  it('answers each write with what it did, in order, however many come at once', async () => {
    let order = 0
    const answers = Array.from({ length: 3 * MAX_COMMIT_WRITES }, () => commits.write(() => (order += 1)))
    expect(await Promise.all(answers)).toEqual(answers.map((_, n) => n + 1))
  })

  it('keeps the others when one fails, or finds no room', async () => {
    const outcomes = await Promise.allSettled([
      put('a'),
      put('x'.repeat(200_000)),
      commits.write(() => {
        throw new RangeError('mine')
      }),
      put('b'),
    ])
    expect(outcomes).toMatchObject([
      { value: 1 },
      { reason: { name: 'StoreError', code: 'full' } },
      { reason: { name: 'RangeError' } },
      { value: 1 },
    ])
    expect(count()).toBe(2)
    expect(undone).toBe(3)
    expect(commits.failure).toBeUndefined()
  })

  it('ends with what was given to it, and takes no more', async () => {
    const last = put('a')
    await commits[Symbol.asyncDispose]()
    expect(await last).toBe(1)
    await expect(put('b')).rejects.toMatchObject({ code: 'closed' })
    expect(count()).toBe(1)
  })

  it('takes nothing more once the disk could not be synced', async () => {
    const broken = createGroupCommit(database, join(folder, 'elsewhere.db'), () => undefined)
    await expect(broken.write(() => 1)).rejects.toMatchObject({ code: 'failed' })
    await expect(broken.write(() => 2)).rejects.toBe(broken.failure)
    await broken[Symbol.asyncDispose]()
  })
})
