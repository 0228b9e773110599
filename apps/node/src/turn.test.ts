import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StartError } from '@plexus/daemon'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { turnOf } from './turn.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plexus-turn-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('the TURN servers of a node', () => {
  it('are none, or some with the secret that the file holds', () => {
    const file = join(folder, 'secret')
    writeFileSync(file, 'north\n')
    expect(turnOf({ turnUri: [], turnSecretFile: undefined })).toBeUndefined()
    expect(turnOf({ turnUri: ['turn:a'], turnSecretFile: file })).toMatchObject({
      uris: ['turn:a'],
      secret: 'north',
    })
  })

  it('are refused without their secret', () => {
    const refused = (uris: readonly string[], file: string | undefined, why: string): void => {
      const start = (): unknown => turnOf({ turnUri: uris, turnSecretFile: file })
      expect(start).toThrow(StartError)
      expect(start).toThrow(why)
    }
    const file = join(folder, 'secret')
    refused(['turn:a'], undefined, 'need each other')
    refused([], file, 'need each other')
    refused(['turn:a'], file, 'is not there')
    writeFileSync(file, '\n')
    refused(['turn:a'], file, 'is empty')
  })
})
