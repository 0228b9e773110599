import { expect, it } from 'vitest'
import { measureFanOut } from './fan-out.ts'

it('small rooms get each event once, from its sender', async () => {
  const report = await measureFanOut({ seed: 1, nodes: 10, events: 5 })
  expect(report).toMatchObject({ senderUploads: 9, mostUploads: 9, copies: 1, missing: 0, unacknowledged: 0 })
})

it('larger rooms pass events and notices on, though a fifth of them passes on nothing', async () => {
  const report = await measureFanOut({ seed: 1, nodes: 60, events: 5 })
  expect(report).toMatchObject({ missing: 0, unacknowledged: 0 })
  expect(report.senderUploads).toBeLessThanOrEqual(12)
  expect(report.copies).toBeLessThanOrEqual(7)
  expect(report.p95).toBeLessThan(2_000)
  expect(report.noticeUploads).toBeLessThanOrEqual(5)
  expect(report.noticed).toBeGreaterThan(0.9)
})
