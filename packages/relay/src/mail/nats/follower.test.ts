import { expect, it } from 'vitest'
import type { Cluster } from './cluster.ts'
import { follow } from './follower.ts'

it('waits no longer than it is told for a stream that says nothing', async () => {
  const consumers = { get: () => Promise.reject(new Error('no server')) }
  const cluster = { jetstream: { consumers }, nameOf: () => 'box' } as unknown as Cluster
  const log = { log: () => undefined }
  await using follower = follow(log, cluster, { stream: 'box', depth: 2, took: () => undefined })
  await follower.reached(5, 1)
  expect(follower.last).toBe(0)
})
