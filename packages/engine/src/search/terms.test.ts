import type { JsonObject, Pdu } from '@plexus/core'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_INDEXED_TEXT, MAX_PIECES, MAX_TERM_LENGTH, MAX_TERMS, searchableText, termsOf } from './terms.ts'

const textOf = (type: string, content: JsonObject): string | undefined =>
  searchableText({ type, content } as Pdu)?.[1]

describe('words', () => {
  it('are counted without differences of case and width', () => {
    expect([...termsOf('Tea, TEA and ｔｅａ: 1/2 of it')]).toEqual([
      ['tea', 3],
      ['and', 1],
      ['1', 1],
      ['2', 1],
      ['of', 1],
      ['it', 1],
    ])
    expect([...termsOf("don't 世界")].map(([term]) => term)).toEqual(["don't", '世界'])
  })

  it.each(['', '  ', '!?', '\u{1f600}', '\ud800'])('are none in %j', (text) => {
    expect(termsOf(text).size).toBe(0)
  })

  it('are bounded', () => {
    const many = Array.from({ length: MAX_TERMS + 10 }, (_, index) => `w${index}`).join(' ')
    expect(termsOf(many).size).toBe(MAX_TERMS)
    expect([...termsOf('x'.repeat(500)).keys()]).toEqual(['x'.repeat(MAX_TERM_LENGTH)])
    expect(termsOf(`${' '.repeat(MAX_INDEXED_TEXT)}late`).size).toBe(0)
    expect(termsOf(`${'! '.repeat(MAX_PIECES)}late`).size).toBe(0)
    expect(termsOf('é '.repeat(MAX_PIECES + 10)).get('é')).toBe(MAX_PIECES)
  })

  it('of plain letters are those of the segmenter', () => {
    const segmenter = new Intl.Segmenter('en', { granularity: 'word' })
    const pieces = fc.stringMatching(/^[a-cA-C0-2_!'".,:;/@(){}~^`[\]$%&*+=<>?|\\#-]{1,6}$/)
    fc.assert(
      fc.property(fc.array(pieces), (parts) => {
        const text = parts.join(' ')
        const words = [...segmenter.segment(text)].filter(({ isWordLike }) => isWordLike === true)
        const expected = Map.groupBy(words, ({ segment }) => segment.toLowerCase())
        expect([...termsOf(text)]).toEqual([...expected].map(([term, all]) => [term, all.length]))
      }),
    )
  })
})

describe('the text of an event', () => {
  it.each<[string, JsonObject, string | undefined]>([
    ['m.room.message', { body: 'a' }, 'a'],
    ['m.room.message', { body: 7 }, undefined],
    ['m.room.message', {}, undefined],
    ['m.room.encrypted', { body: 'a' }, undefined],
    ['m.room.name', { name: 'n', body: 'a' }, 'n'],
    ['m.room.topic', { topic: 't' }, 't'],
    ['m.room.topic', { topic: 't', 'm.topic': { 'm.text': [{ body: 'plain' }] } }, 't\nplain'],
    ['m.room.topic', { 'm.topic': { 'm.text': [{ mimetype: 'text/html', body: 'b' }] } }, undefined],
    ['m.room.topic', { 'm.topic': { 'm.text': 'x' } }, undefined],
  ])('%s %j', (type, content, text) => {
    expect(textOf(type, content)).toBe(text)
  })
})
