/** When the keys that mail is sealed to are made and destroyed. */
import {
  createCommitter,
  loadSealingKeys,
  MAIL_RETENTION_MS,
  SEALING_KEY_MS,
  type SealingKeysDeps,
} from '@plexus/engine/testing'
import { createMemoryStore } from '@plexus/store/memory'
import { beforeEach, describe, expect, it } from 'vitest'
import { createQuickSealer } from '../kit/mail-relay.ts'

const WEEK = SEALING_KEY_MS

describe('sealing keys', () => {
  let now: number
  let deps: SealingKeysDeps

  beforeEach(async () => {
    now = 1_700_000_000_000
    const store = await createMemoryStore()
    let chance = 0
    deps = {
      store,
      committer: await createCommitter(store),
      clock: { now: () => now, after: () => () => undefined },
      random: { bytes: (length) => new Uint8Array(length).fill((chance += 1)) },
      sealer: createQuickSealer(1),
    }
  })

  it('are kept over a restart, and made anew each week', async () => {
    const { id } = await (await loadSealingKeys(deps)).current()
    const again = await loadSealingKeys(deps)
    expect(await again.current()).toMatchObject({ id })
    expect(again.pair(id)?.privateKey.length).toBe(32)
    now += WEEK
    const next = await again.current()
    expect(next.id).not.toBe(id)
    expect(again.pair(id)).toBeDefined()
    expect(again.pair('other')).toBeUndefined()
  })

  it('are made anew where the clock was set back far', async () => {
    const keys = await loadSealingKeys(deps)
    const { id } = await keys.current()
    now -= 2 * WEEK
    expect((await keys.current()).id).not.toBe(id)
  })

  it('are destroyed when all mail for them has expired and every mailbox was drained since', async () => {
    const keys = await loadSealingKeys(deps)
    const { id } = await keys.current()
    now += WEEK
    const replaced = now
    await keys.current()
    now = replaced + MAIL_RETENTION_MS + WEEK
    await keys.destroyOld(now)
    expect(keys.pair(id)).toBeDefined()
    now += 1
    await keys.destroyOld(replaced)
    expect(keys.pair(id)).toBeDefined()
    await keys.destroyOld(replaced + 1)
    expect(keys.pair(id)).toBeUndefined()
    expect((await loadSealingKeys(deps)).pair(id)).toBeUndefined()
  })

  it('are destroyed in the end though a mailbox is never seen again', async () => {
    const keys = await loadSealingKeys(deps)
    const { id } = await keys.current()
    now += WEEK
    await keys.current()
    now += 150 * 24 * 3_600_000 + 1
    await keys.destroyOld(0)
    expect(keys.pair(id)).toBeUndefined()
  })
})
