import { expect, it } from 'vitest'
import { measureFanOut } from './fan-out.ts'

it('small rooms get each event once, from its sender', async () => {
  const report = await measureFanOut({ seed: 1, nodes: 10, events: 5 })
  expect(report).toMatchObject({ senderUploads: 9, mostUploads: 9, copies: 1, missing: 0, unacknowledged: 0 })
})
