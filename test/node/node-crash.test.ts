/**
 * SIGKILL of a headless node under load: what it answered with 200 is there afterwards, and once. `CRASH_RUNS=100` kills it as
 * often, `CRASH_SEED` at other moments.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RoomId } from '@plexus/core'
import { afterEach, expect, it } from 'vitest'
import { register, startNodeApp, type NodeApp } from '../kit/node-app.ts'
import { createSeededRandom } from '../kit/seeded-random.ts'

const ROUNDS = Number(process.env['CRASH_RUNS'] ?? 8)
/** Of a busy machine. */
const MOST_MS_OF_ROUND = 15_000
const WRITERS = 4
const MOST_BEFORE_KILL = 60

const data = mkdtempSync(join(tmpdir(), 'plexus-node-crash-'))
let node: NodeApp | undefined
afterEach(async () => {
  await node?.stop('SIGKILL')
  rmSync(data, { recursive: true, force: true })
})

it(`loses and doubles nothing in ${ROUNDS} kills`, { timeout: ROUNDS * MOST_MS_OF_ROUND }, async () => {
  const random = createSeededRandom(Number(process.env['CRASH_SEED'] ?? 11))
  node = await startNodeApp(data, ['--rate-limits', 'off'])
  const at = (): string => node?.clientApi ?? ''
  const ann = await register(data, at, 'ann')
  const roomId = (await ann.ok('POST', 'v3/createRoom', {}))['room_id'] as RoomId
  const acknowledged = new Set<string>()
  let next = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const current = node
    const until = acknowledged.size + 1 + random.below(MOST_BEFORE_KILL)
    let killed: Promise<unknown> | undefined
    const write = async (): Promise<void> => {
      while (killed === undefined) {
        const text = `message ${(next += 1)}`
        try {
          await ann.say(roomId, `t${next}`, text)
        } catch {
          // It was killed meanwhile: what became of this one is not known, so it is said again with the same transaction.
          return
        }
        acknowledged.add(text)
        if (acknowledged.size >= until) killed ??= current.stop('SIGKILL')
      }
    }
    await Promise.all(Array.from({ length: WRITERS }, write))
    await killed
    node = await startNodeApp(data, ['--rate-limits', 'off'])
  }
  const texts = await allTexts()
  expect([...acknowledged].filter((text) => !texts.includes(text))).toEqual([])
  expect(texts).toHaveLength(new Set(texts).size)

  // A client that got no answer asks again with the same transaction id: the event is not made twice.
  const last = `message ${next}`
  const before = (await allTexts()).filter((text) => text === last).length
  await ann.say(roomId, `t${next}`, last)
  expect((await allTexts()).filter((text) => text === last)).toHaveLength(Math.max(before, 1))

  async function allTexts(): Promise<readonly unknown[]> {
    const found: unknown[] = []
    let from = ''
    do {
      const path = `v3/rooms/${encodeURIComponent(roomId)}/messages?dir=f&limit=500${from === '' ? '' : `&from=${from}`}`
      const page = (await ann.ok('GET', path)) as { chunk: { content: { body?: string } }[]; end?: string }
      found.push(...page.chunk.flatMap(({ content }) => content.body ?? []))
      from = page.end ?? ''
    } while (from !== '')
    return found
  }
})
