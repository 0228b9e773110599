import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { renewPlace } from './place.ts'

let scratch = ''
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'plexus-place-'))
})
afterEach(() => rmSync(scratch, { recursive: true }))

it('is known at the next start, and at none of a folder that was copied, elsewhere or back', () => {
  const [folder, copy] = [join(scratch, 'data'), join(scratch, 'copy')]
  mkdirSync(folder)
  const first = renewPlace(folder)
  expect(first.before).toBeUndefined()
  const second = renewPlace(folder)
  expect(second.before).toBe(first.now)
  cpSync(folder, copy, { recursive: true, preserveTimestamps: true })
  expect(renewPlace(copy).before).not.toBe(second.now)
  cpSync(copy, folder, { recursive: true, preserveTimestamps: true, force: true })
  expect(renewPlace(folder).before).not.toBe(second.now)
})
