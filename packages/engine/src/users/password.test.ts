import { describe, expect, it } from 'vitest'
import { MAX_PASSWORD_CHECKS, MAX_PASSWORD_LENGTH, createPasswords } from './password.ts'

const CHEAP = 4
const random = { bytes: (length: number) => new Uint8Array(length).fill(7) }
const passwords = createPasswords(random, { cost: CHEAP })

describe('passwords', () => {
  it('are kept as scrypt hashes with their parameters', async () => {
    const stored = await passwords.hash('correct horse')
    expect(stored).toMatchObject({ cost: CHEAP, parallelism: 3 })
    expect(JSON.stringify(stored)).not.toContain('correct')
    expect(await passwords.check('correct horse', stored)).toBe(true)
    expect(await passwords.check('correct horsf', stored)).toBe(false)
    expect(await passwords.check('', stored)).toBe(false)
  })

  it('are the same in every normal form', async () => {
    const stored = await passwords.hash('schöne grüße')
    expect(await passwords.check('schöne grüße'.normalize('NFD'), stored)).toBe(true)
  })

  it('hashed at another cost are still checked', async () => {
    const stored = await passwords.hash('correct horse')
    expect(await createPasswords(random, { cost: CHEAP + 1 }).check('correct horse', stored)).toBe(true)
  })

  it('never match without a stored one', async () => {
    expect(await passwords.check('correct horse', undefined)).toBe(false)
  })

  it('are neither too short nor too long', async () => {
    for (const password of ['short', 'x'.repeat(MAX_PASSWORD_LENGTH + 1)]) {
      await expect(passwords.hash(password)).rejects.toMatchObject({ errcode: 'M_WEAK_PASSWORD' })
    }
  })

  it('are checked a bounded number at a time', async () => {
    const stored = await passwords.hash('correct horse')
    const all = Array.from({ length: MAX_PASSWORD_CHECKS + 1 }, () =>
      passwords.check('correct horse', stored),
    )
    const results = await Promise.allSettled(all)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(MAX_PASSWORD_CHECKS)
    expect(results.at(-1)).toMatchObject({ reason: { errcode: 'M_LIMIT_EXCEEDED' } })
    expect(await passwords.check('correct horse', stored)).toBe(true)
  })
})
