import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqliteStore } from './sqlite.ts'
import { inspect } from './testing/index.ts'

const ROUNDS = 20
const FIXTURE = fileURLToPath(new URL('sqlite-crash.fixture.ts', import.meta.url))

/** Runs the load and kills it after about `kills` acknowledgements; the acknowledged numbers. */
async function killUnderLoad(path: string, kills: number): Promise<readonly number[]> {
  const child = spawn(process.execPath, [FIXTURE, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (text: string) => {
    output += text
    if (output.split('\n').length > kills) child.kill('SIGKILL')
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' })
  // What stands after the last line end is no whole number.
  return output.split('\n').slice(0, -1).map(Number)
}

describe('SQLite store, its process killed under load', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'plexus-crash-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it(`keeps all that was acknowledged, whole, ${ROUNDS} times`, { timeout: 60_000 }, async () => {
    const path = join(folder, 'store.db')
    let before = -1
    for (let round = 0; round < ROUNDS; round += 1) {
      const acknowledged = await killUnderLoad(path, 1 + Math.floor(Math.random() * 120))
      const store = await openSqliteStore(path)
      const findings = await inspect(store)
      await store.close()
      expect(findings.problems).toEqual([])
      expect(Math.min(...acknowledged)).toBeGreaterThan(before)
      expect(findings.last).toBeGreaterThanOrEqual(Math.max(...acknowledged))
      before = findings.last
    }
    expect(before).toBeGreaterThan(ROUNDS)
  })
})
