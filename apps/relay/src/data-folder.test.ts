import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openDataFolder } from './data-folder.ts'
import { StartError } from '@plexus/daemon'

let scratch = ''
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'plexus-data-'))
})
afterEach(() => rmSync(scratch, { recursive: true }))

describe('the data folder', () => {
  it('is made when there is none, for its owner only', () => {
    const folder = join(scratch, 'a', 'b')
    expect(openDataFolder(folder).port).toBeUndefined()
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    expect(readdirSync(folder)).toEqual([])
  })

  it('remembers the port, in a file for its owner only', () => {
    openDataFolder(scratch).rememberPort(9001)
    openDataFolder(scratch).rememberPort(9002)
    expect(openDataFolder(scratch).port).toBe(9002)
    expect(readdirSync(scratch)).toEqual(['relay.json'])
    expect(statSync(join(scratch, 'relay.json')).mode & 0o777).toBe(0o600)
  })

  it.each([
    '',
    '{',
    'null',
    '[]',
    '{"port":"8008"}',
    '{"port":0}',
    '{"port":1e9}',
    '{"port":80.5}',
    `"${'x'.repeat(5000)}"`,
  ])('refuses damaged settings and leaves them alone: %.20s', (text) => {
    const file = join(scratch, 'relay.json')
    writeFileSync(file, text)
    expect(() => openDataFolder(scratch)).toThrow(StartError)
    expect(() => openDataFolder(scratch)).toThrow(/relay\.json is damaged.*--port/)
    expect(readFileSync(file, 'utf8')).toBe(text)
  })

  it('says when the settings cannot be read', () => {
    mkdirSync(join(scratch, 'relay.json'))
    expect(() => openDataFolder(scratch)).toThrow(/relay\.json cannot be read \(EISDIR\)/)
  })

  it('says when the folder cannot be made or written to', () => {
    writeFileSync(join(scratch, 'file'), '')
    expect(() => openDataFolder(join(scratch, 'file'))).toThrow(/not writable \(EEXIST\).*--data/)
    expect(() => openDataFolder(join(scratch, 'file', 'below'))).toThrow(/not writable \(ENOTDIR\).*--data/)
  })
})
