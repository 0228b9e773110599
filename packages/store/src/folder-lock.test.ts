import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acquireFolderLock } from './folder-lock.ts'

describe('folder lock', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'plexus-lock-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('has one holder at a time, and makes the folder', async () => {
    const data = join(folder, 'made', 'here')
    const first = await acquireFolderLock(data)
    expect(first).toBeDefined()
    expect(await acquireFolderLock(data)).toBeUndefined()
    await first?.release()
    await first?.release()
    const second = await acquireFolderLock(data)
    expect(second).toBeDefined()
    await second?.release()
  })

  it('is held against other processes, and free again when its holder is killed', async () => {
    const script = `
      const { acquireFolderLock } = await import(${JSON.stringify(new URL('folder-lock.ts', import.meta.url).href)})
      const lock = await acquireFolderLock(${JSON.stringify(folder)})
      console.log(lock === undefined ? 'refused' : 'held')
      setInterval(() => lock, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [output] = (await once(child.stdout, 'data')) as [Buffer]
    expect(output.toString().trim()).toBe('held')
    expect(await acquireFolderLock(folder)).toBeUndefined()
    child.kill('SIGKILL')
    await once(child, 'exit')
    const lock = await acquireFolderLock(folder)
    expect(lock).toBeDefined()
    await lock?.release()
  })
})
