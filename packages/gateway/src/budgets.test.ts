import { describe, expect, it } from 'vitest'
import { MAX_BUDGETS, REQUEST_BURST, REQUESTS_PER_SECOND } from './bounds.ts'
import { createBudgets, subscriberOf } from './budgets.ts'

describe('createBudgets', () => {
  it('lets each have a burst, and so many a second over time', () => {
    let now = 0
    const budgets = createBudgets(() => now, REQUEST_BURST)
    for (let count = 0; count <= REQUEST_BURST; count += 1) {
      expect(budgets.has('a')).toBe(true)
      budgets.charge('a')
    }
    expect([budgets.has('a'), budgets.has('b')]).toEqual([false, true])
    now += Math.ceil(1_000 / REQUESTS_PER_SECOND)
    expect(budgets.has('a')).toBe(true)
  })

  it('forgets who was longest without a request', () => {
    const budgets = createBudgets(() => 0, REQUEST_BURST)
    for (let count = 0; count <= REQUEST_BURST; count += 1) budgets.charge('a')
    for (let other = 0; other < MAX_BUDGETS - 1; other += 1) budgets.charge(`b${other}`)
    expect(budgets.has('a')).toBe(false)
    budgets.charge('c')
    expect(budgets.has('a')).toBe(true)
  })
})

describe('subscriberOf', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['2001:db8:1:2::', '2001:db8:1:2'],
    ['::1', '0:0:0:0'],
    ['', ''],
  ])('is for %s %s', (address, subscriber) => expect(subscriberOf(address)).toBe(subscriber))
})
