import { expect, it } from 'vitest'
import { MAX_SOURCES } from '../limits.ts'
import { createClock } from '../testing/streams.ts'
import { createSources, sourceOf, tagOf } from './sources.ts'

it('so many addresses are remembered, the one not heard of for longest is forgotten', () => {
  const sourceAt = createSources(createClock(0), { depositsPerSecond: 1, depositBurst: 1 })
  const addressAt = (n: number): string => `/ip4/198.${n >> 16}.${(n >> 8) & 255}.${n & 255}/tcp/1`
  const first = Array.from({ length: MAX_SOURCES }, (_, n) => sourceAt(addressAt(n)))
  expect(sourceAt(addressAt(0))).toBe(first[0])
  sourceAt(addressAt(MAX_SOURCES))
  expect(sourceAt(addressAt(0))).toBe(first[0])
  expect(sourceAt(addressAt(2))).toBe(first[2])
  expect(sourceAt(addressAt(1))).not.toBe(first[1])
})

it('a tag tells addresses apart, and many have the same', () => {
  const tags = Array.from({ length: 20_000 }, (_, n) =>
    tagOf(sourceOf(`/ip4/10.0.${n >> 8}.${n & 255}/tcp/1`)),
  )
  expect(tags[0]).not.toBe(tags[1])
  expect(new Set(tags).size).toBeLessThanOrEqual(4_096)
})
