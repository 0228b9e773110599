import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { writeDurably } from './data-folder.ts'

/** Files of one or two kilobytes. */
const SHELL = 'ulimit -f 2 && exec "$0" --input-type=module -e "$1"'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plexus-folder-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('writeDurably', () => {
  it('leaves the old content, and nothing else, where there is no room for the new', () => {
    writeDurably(folder, 'a', 'old')
    // Room for a part of it: the system writes that, and says so by a number alone.
    const script = `const { writeDurably } = await import(${JSON.stringify(import.meta.resolve('./data-folder.ts'))})
      try { writeDurably(${JSON.stringify(folder)}, 'a', 'x'.repeat(5_000)) } catch (error) { console.log(error.code) }`
    const { stdout } = spawnSync('/bin/sh', ['-c', SHELL, process.execPath, script])
    expect(String(stdout)).toBe('EFBIG\n')
    expect(readdirSync(folder)).toEqual(['a'])
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('old')
  })
})
