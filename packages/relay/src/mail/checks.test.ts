import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { MAX_WAITING_CHECKS } from '../limits.ts'
import { createChecks } from './checks.ts'

describe('checks', () => {
  it('are made one in a turn of the event loop, of one source after the other', async () => {
    const checks = createChecks()
    const done: string[] = []
    const [flood, honest] = [{}, {}]
    const all = ['f1', 'f2', 'f3', 'f4'].map((name) => checks.run(flood, async () => done.push(name)))
    all.push(checks.run(honest, async () => done.push('h1')))
    const seen: number[] = []
    for (let turn = 0; turn < 3; turn += 1) {
      await turnOfLoop()
      seen.push(done.length)
    }
    expect(seen).toEqual([1, 2, 3])
    await Promise.all(all)
    expect(done).toEqual(['f1', 'h1', 'f2', 'f3', 'f4'])
    expect(await checks.run(honest, async () => 'h2')).toBe('h2')
  })

  it('of a source with few waiting are made though another one fills all', async () => {
    const checks = createChecks()
    const [flood, honest] = [{}, {}]
    const some = async (source: object, length: number): Promise<readonly boolean[]> =>
      Promise.all(Array.from({ length }, async () => (await checks.run(source, async () => true)) === true))
    const flooded = some(flood, MAX_WAITING_CHECKS + 5)
    const made = some(honest, 3)
    expect(await made).toEqual([true, true, true])
    expect((await flooded).filter((isMade) => isMade)).toHaveLength(MAX_WAITING_CHECKS - 3)
  })

  it('fail alone, and are refused while too many wait', async () => {
    const checks = createChecks()
    const failed = checks.run({}, () => Promise.reject(new Error('bad')))
    const waiting = Array.from({ length: MAX_WAITING_CHECKS - 1 }, () => checks.run({}, async () => 'done'))
    expect(await checks.run({}, async () => 'late')).toBeUndefined()
    await expect(failed).rejects.toThrow('bad')
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['done']))
    expect(await checks.run({}, async () => 'later')).toBe('later')
  })
})
