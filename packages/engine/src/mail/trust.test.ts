import { expect, it } from 'vitest'
import { createTrust, MAX_MISSED } from './trust.ts'

it('avoids a relay that keeps for itself what another brings, until it brings something', () => {
  const trust = createTrust()
  for (let mails = 0; mails < MAX_MISSED; mails += 1) {
    expect(trust.isAvoided('liar')).toBe(false)
    trust.arrived(['liar', 'honest'], (relay) => relay === 'honest')
  }
  expect(trust.isAvoided('liar')).toBe(true)
  expect(trust.isAvoided('honest')).toBe(false)
  trust.arrived(['liar', 'honest'], () => true)
  expect(trust.isAvoided('liar')).toBe(false)
})

it('blames nobody for a mail that no relay of those it was left at brought', () => {
  const trust = createTrust()
  for (let mails = 0; mails < 10; mails += 1) trust.arrived(['one', 'two'], () => false)
  expect(trust.isAvoided('one')).toBe(false)
})
