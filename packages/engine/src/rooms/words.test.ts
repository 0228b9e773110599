import { stateKey, type EventId, type ServerName, type StateMap } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { createWords, MAX_TELLERS, MAX_TOLD_ENTRIES, MAX_WORDS } from './words.ts'

const id = (index: number): EventId => `$event${index}` as EventId
const server = (index: number): ServerName => `server${index}` as ServerName
/** Different for each `mark`. */
const stateOf = (mark: number, size = 1): StateMap =>
  new Map(Array.from({ length: size }, (_, index) => [stateKey(`${index}`, ''), id(mark)] as const))

describe('words', () => {
  it('that are alike have one name, whatever order they came in', () => {
    const words = createWords()
    words.note(id(0), server(0), stateOf(1, 3))
    words.note(id(0), server(1), new Map([...stateOf(1, 3)].toReversed()))
    words.note(id(0), server(2), stateOf(2, 3))
    const [one, other, third] = [...words.about(id(0)).values()]
    expect(one).toBe(other)
    expect(third).not.toBe(one)
    expect(words.state(one ?? '')?.size).toBe(3)
  })

  it('about one event are few, of the servers that spoke last', () => {
    const words = createWords()
    for (let index = 0; index < 2 * MAX_TELLERS; index += 1) words.note(id(0), server(index), stateOf(index))
    expect(words.about(id(0)).size).toBe(MAX_TELLERS)
    expect(words.about(id(0)).has(server(2 * MAX_TELLERS - 1))).toBe(true)
    expect(words.about(id(0)).has(server(0))).toBe(false)
  })

  it('are remembered about few events', () => {
    const words = createWords()
    for (let index = 0; index <= MAX_WORDS; index += 1) words.note(id(index), server(0), stateOf(0))
    expect(words.about(id(0)).size).toBe(0)
    expect(words.about(id(1)).size).toBe(1)
  })

  it('hold few entries together: of those beyond, the names are remembered', () => {
    const words = createWords()
    const half = MAX_TOLD_ENTRIES / 2
    for (let index = 0; index < 3; index += 1) words.note(id(index), server(0), stateOf(index, half))
    const held = [0, 1, 2].map((index) => words.state(words.about(id(index)).get(server(0)) ?? '')?.size)
    expect(held).toEqual([undefined, half, half])
  })

  it('go once their event is decided, states and all', () => {
    const words = createWords()
    words.note(id(0), server(0), stateOf(0))
    const name = words.about(id(0)).get(server(0)) ?? ''
    words.forget(id(0))
    expect(words.about(id(0)).size).toBe(0)
    expect(words.state(name)).toBeUndefined()
    const half = MAX_TOLD_ENTRIES / 2
    words.note(id(1), server(0), stateOf(1, half))
    words.note(id(2), server(0), stateOf(2, half))
    expect(words.state(words.about(id(1)).get(server(0)) ?? '')?.size).toBe(half)
  })
})
