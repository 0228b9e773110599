import { describe, expect, it } from 'vitest'
import { answersFor, type Ed25519Case } from './testing/ed25519.ts'

describe('Ed25519 vectors in the browser', () => {
  it('give the answers that Node.js gives', async () => {
    const response = await fetch(new URL('../../../test/vectors/ed25519.json', import.meta.url))
    const { cases } = (await response.json()) as { readonly cases: readonly Ed25519Case[] }
    const answers = await Promise.all(cases.map((test) => answersFor(crypto.subtle, test)))
    const found = answers.map(({ noble, platform }, i) => ({ name: cases[i]?.name, noble, platform }))
    expect(found).toEqual(cases.map(({ name, valid }) => ({ name, noble: valid, platform: valid })))
    expect(found.filter(({ noble }) => noble).length).toBeGreaterThan(3)
    // Without the precheck this platform takes signatures of keys of small order.
    expect(answers.some(({ unchecked, platform }) => unchecked && !platform)).toBe(true)
  })
})
