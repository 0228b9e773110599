import { CarrierError, FederationError, StoreError } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import { withPatience } from './patience.ts'
import { diskFull, isUnreachable, linkProblem, startProblem } from './problems.ts'

const refusal = (errcode: string): FederationError =>
  new FederationError({ status: 403, errcode, error: 'no' })

describe('problems', () => {
  it('say what to do when the disk is full', () => {
    expect(startProblem(new StoreError('full', 'quota'))).toBe(diskFull)
  })

  it('say what to do when the app is older than its data', () => {
    const error = Object.assign(new Error('schema 3'), { name: 'SchemaError' })
    expect(startProblem(error).advice).toContain('Reload')
  })

  it('say that the account is closed', () => {
    const error = Object.assign(new Error('gone'), { errcode: 'M_USER_DEACTIVATED' })
    expect(startProblem(error).title).toBe('This account is closed')
  })

  it('tell a link that is spent from people who are away', () => {
    for (const errcode of ['M_FORBIDDEN', 'M_NOT_FOUND']) {
      expect(linkProblem(refusal(errcode)).title).toBe('This link is no longer valid')
    }
    expect(linkProblem(new CarrierError('unreachable', 'x')).title).toBe(
      'The person who invited you is not reachable',
    )
    expect(linkProblem(Object.assign(new Error('x'), { errcode: 'M_UNKNOWN' })).advice).toContain('try again')
    expect(linkProblem(new Error('this is a link of your own')).advice).toBe('this is a link of your own')
  })
})

describe('patience', () => {
  /** Fails with each error in turn, then answers. */
  function failing(...errors: readonly Error[]): { attempt: () => Promise<string>; attempts: () => number } {
    let attempts = 0
    return {
      attempts: () => attempts,
      attempt: async () => {
        const error = errors[attempts]
        attempts += 1
        if (error !== undefined) throw error
        return 'there'
      },
    }
  }
  const away = new CarrierError('unreachable', 'away')

  it('tries again while nobody is there', async () => {
    const { attempt, attempts } = failing(away, away)
    expect(await withPatience(attempt, [0, 0, 0])).toBe('there')
    expect(attempts()).toBe(3)
  })

  it('ends with the last error', async () => {
    const { attempt, attempts } = failing(away, away, away)
    await expect(withPatience(attempt, [0, 0])).rejects.toBe(away)
    expect(attempts()).toBe(3)
  })

  it('takes no for an answer', async () => {
    const no = refusal('M_FORBIDDEN')
    const { attempt, attempts } = failing(no)
    expect(isUnreachable(no)).toBe(false)
    await expect(withPatience(attempt, [0, 0])).rejects.toBe(no)
    expect(attempts()).toBe(1)
  })
})
