import type { RoomId, ServerName } from '@plexus/core'
import { expect, it } from 'vitest'
import { createCommitter } from '../kernel/committer.ts'
import { mapStore } from '../kernel/map-store.fixture.ts'
import { createAfterCommit } from '../outbox/after-commit.ts'
import { createCursors } from '../outbox/cursors.ts'
import { loadOutboxMemory } from '../outbox/memory.ts'
import { cursors as cursorRows } from '../rooms/records.ts'
import { noteTaken } from '../outbox/transaction.ts'
import { createMailer, type MailerDeps } from './mailer.ts'
import { mails, type MailRow } from './tables.ts'

const NAME = 'k51' as ServerName
const ROOM = '!r' as RoomId
const mail = (from: number, to: number): MailRow => ({
  at: 1,
  expires: 2,
  relays: ['relay'],
  rooms: [{ roomId: ROOM, from, to }],
})

it('nothing is kept of a mail that arrived once its destination told that it took what follows, whichever comes first', async () => {
  const { store } = mapStore(new Map())
  const committer = await createCommitter(store)
  await committer.submit({
    writes: () => [
      cursorRows.put([NAME, ROOM], { start: 0, cursor: 0 }),
      mails.put([NAME, 'first'], mail(0, 2)),
      mails.put([NAME, 'second'], mail(2, 5)),
    ],
  })
  const memory = await loadOutboxMemory(store)
  const afterCommit = createAfterCommit(committer)
  const cursors = createCursors({ memory, afterCommit, committer })
  const deliveries = { moved: async () => undefined }
  const deps = { store, committer, memory, cursors, deliveries, incarnation: 'now' } as unknown as MailerDeps
  const target = memory.destination(NAME)
  target.mail.news.push({ incarnation: 'now', committed: 0, transactions: { relay: ['second'] } })
  let taken: Promise<void> | undefined
  committer.onCommit(() => {
    taken ??= noteTaken(deps, target, { reached: new Map([[ROOM, 9]]), rows: [] })
  })
  await createMailer(deps).workOff(target)
  await taken
  expect(await mails.list(store, [])).toEqual([])
  expect(target.mail.rows.size).toBe(0)
})
