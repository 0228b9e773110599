import { describe, expect, it } from 'vitest'
import type { Store, Write } from '../ports.ts'
import { StoreError } from '../ports.ts'
import { combineChanges, createCommitter, MAX_COMMIT_WRITES } from './committer.ts'

function fakeStore(): { store: Store; commits: Write[][]; fail: (error: Error | undefined) => void } {
  const commits: Write[][] = []
  const values = new Map<string, string>()
  let failure: Error | undefined
  const store: Store = {
    get: (map, key) => Promise.resolve(values.get(map + key)),
    getMany: (map, keys) => Promise.resolve(keys.map((key) => values.get(map + key))),
    range: () => Promise.resolve([]),
    commit: (writes) => {
      if (failure !== undefined) return Promise.reject(failure)
      commits.push([...writes])
      for (const { map, key, value } of writes) if (value !== undefined) values.set(map + key, value)
      return Promise.resolve()
    },
    close: () => Promise.resolve(),
  }
  return { store, commits, fail: (error) => (failure = error) }
}

const write = (key: string): Write => ({ map: 'm', key, value: 'v' })

describe('createCommitter', () => {
  it('gives positions in order and groups what is ready together', async () => {
    const { store, commits } = fakeStore()
    const committer = await createCommitter(store)
    const positions = await Promise.all(
      ['a', 'b', 'c'].map((key) => committer.submit({ writes: () => [write(key)] })),
    )
    expect(positions).toEqual([1, 2, 3])
    expect(commits).toHaveLength(1)
    expect(committer.committed).toBe(3)
  })

  it('goes on from the stored position', async () => {
    const { store } = fakeStore()
    const first = await createCommitter(store)
    await first.submit({ writes: () => [write('a')] })
    const second = await createCommitter(store)
    expect(await second.submit({ writes: () => [write('b')] })).toBe(2)
  })

  it('publishes after the commit and in order', async () => {
    const { store, commits } = fakeStore()
    const committer = await createCommitter(store)
    const published: string[] = []
    const submit = (key: string): Promise<number> =>
      committer.submit({
        writes: () => [write(key)],
        publish: (position) => published.push(`${key}${position} after ${commits.length}`),
      })
    await Promise.all([submit('a'), submit('b')])
    expect(published).toEqual(['a1 after 1', 'b2 after 1'])
  })

  it('gives a combined change consecutive positions', async () => {
    const { store } = fakeStore()
    const committer = await createCommitter(store)
    const seen: string[] = []
    const change = (
      name: string,
    ): { writes: (position: number) => Write[]; publish: (position: number) => void } => ({
      writes: (position) => [write(`${name}${position}`)],
      publish: (position) => seen.push(`${name}${position}`),
    })
    await committer.submit(combineChanges([change('a'), combineChanges([change('b'), change('c')])]))
    expect(await committer.submit(change('d'))).toBe(4)
    expect(seen).toEqual(['a1', 'b2', 'c3', 'd4'])
  })

  it('takes all pending changes down with a failed commit, tells it first, and goes on after a full disk', async () => {
    const { store, fail } = fakeStore()
    const committer = await createCommitter(store)
    const told: string[] = []
    committer.onFailure((error) => told.push(error.code))
    fail(new StoreError('full', 'no room'))
    const results = await Promise.allSettled(
      ['a', 'b'].map((key) => committer.submit({ writes: () => [write(key)] })),
    )
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(told).toEqual(['full'])
    fail(undefined)
    expect(await committer.submit({ writes: () => [write('c')] })).toBe(1)
  })

  it.each([
    [
      'writes',
      (): Write[] => {
        throw new Error('fault')
      },
      undefined,
    ],
    [
      'publish',
      (): Write[] => [],
      () => {
        throw new Error('fault')
      },
    ],
  ])('survives a change whose %s throws', async (_, writes, publish) => {
    const { store, commits } = fakeStore()
    const committer = await createCommitter(store)
    const change = { writes, ...(publish === undefined ? {} : { publish }) }
    const results = await Promise.allSettled([
      committer.submit(change),
      committer.submit({ writes: () => [write('with it')] }),
    ])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(committer.failures).toBe(1)
    const position = await committer.submit({ writes: () => [write('after')] })
    expect(position).toBe(committer.committed)
    expect(commits.at(-1)?.[0]?.key).toBe('after')
    await committer.idle()
  })

  it('commits nothing more once fenced', async () => {
    const { store, fail, commits } = fakeStore()
    const committer = await createCommitter(store)
    fail(new StoreError('fenced', 'another owner'))
    await expect(committer.submit({ writes: () => [write('a')] })).rejects.toMatchObject({ code: 'fenced' })
    fail(undefined)
    await expect(committer.submit({ writes: () => [write('b')] })).rejects.toMatchObject({ code: 'fenced' })
    expect(commits).toEqual([])
  })

  it('bounds the writes of one commit', async () => {
    const { store, commits } = fakeStore()
    const committer = await createCommitter(store)
    const many = Array.from({ length: MAX_COMMIT_WRITES }, (_, index) => write(String(index)))
    await Promise.all([1, 2].map(() => committer.submit({ writes: () => many })))
    expect(commits).toHaveLength(2)
  })
})
