import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StartError } from '@plexus/daemon'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { mailTokensOf } from './mail-tokens.ts'

const RELAYS = [`12D3KooW${'a'.repeat(44)}`, `12D3KooW${'b'.repeat(44)}`] as const
let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plexus-tokens-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('the tokens of relays', () => {
  it('are by peer id, one a line', () => {
    const file = join(folder, 'tokens')
    writeFileSync(file, `${RELAYS[0]} one\n\n${RELAYS[1]}   two \n`)
    expect(mailTokensOf(file)).toEqual({ [RELAYS[0]]: 'one', [RELAYS[1]]: 'two' })
    expect(mailTokensOf(undefined)).toEqual({})
  })

  it('are refused where a line is none, without showing it', () => {
    const file = join(folder, 'tokens')
    writeFileSync(file, `${RELAYS[0]} one\nsecret-of-somebody\n`)
    const read = (): unknown => mailTokensOf(file)
    expect(read).toThrow(StartError)
    expect(read).toThrow(/line 2/)
    expect(read).not.toThrow(/secret-of/)
    expect(() => mailTokensOf(join(folder, 'none'))).toThrow(StartError)
  })
})
