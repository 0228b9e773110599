import type { UserId } from '@plexus/core'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  INTERACTIVE_SESSION_MS,
  MAX_ATTEMPTS,
  MAX_INTERACTIVE_SESSIONS,
  createInteractive,
} from './interactive.ts'
import type { Accounts, Interactive } from './types.ts'

const ALICE = '@alice:example.org' as UserId
const PASSWORD = ['m.login.password']

describe('user-interactive authentication', () => {
  let now = 0
  let chance = 0
  let checks = 0
  let interactive: Interactive

  beforeEach(() => {
    now = 0
    chance = 0
    checks = 0
    const accounts: Partial<Accounts> = {
      hasPassword: (userId) => Promise.resolve(userId === ALICE),
      checkPassword: (_, password) => {
        checks += 1
        return Promise.resolve(password === 'right')
      },
    }
    interactive = createInteractive(
      {
        clock: { now: () => now, after: () => () => undefined },
        random: {
          bytes: (length) => {
            chance += 1
            return new Uint8Array(length)
              .fill(0)
              .with(0, chance & 255)
              .with(1, chance >> 8)
          },
        },
      },
      accounts as Accounts,
      { isToken: (text) => text === 'secret' },
    )
  })

  const check = (
    auth: Parameters<Interactive['check']>[1],
    operation = 'DELETE /device',
  ): ReturnType<Interactive['check']> => interactive.check(operation, auth, PASSWORD, ALICE)
  const begin = async (operation?: string): Promise<string> =>
    (await check(undefined, operation))?.session ?? ''
  const password = (session: string, text = 'right'): Parameters<typeof check>[0] => ({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: 'alice' },
    password: text,
    session,
  })

  it('offers a flow and a session, and is complete after its stage', async () => {
    const first = await check(undefined)
    expect(first).toMatchObject({ flows: [{ stages: PASSWORD }], params: {} })
    expect(first?.errcode).toBeUndefined()
    expect(await check(password(first?.session ?? ''))).toBeUndefined()
  })

  it('says that a password is wrong, and lets the client try again', async () => {
    const session = await begin()
    expect(await check(password(session, 'wrong'))).toMatchObject({ session, errcode: 'M_FORBIDDEN' })
    expect(await check(password(session))).toBeUndefined()
  })

  it('takes one stage without a session first', async () => {
    const auth = { type: 'm.login.password', user: ALICE, password: 'right' }
    expect(await check(auth)).toBeUndefined()
    expect(await check({ ...auth, password: 'wrong' })).toMatchObject({ errcode: 'M_FORBIDDEN' })
  })

  it.each([
    ['another kind of id', { identifier: { type: 'm.id.phone', phone: '1' } }],
    ['another stage', { type: 'm.login.dummy' }],
    ['no password', { password: undefined }],
  ])('refuses %s', async (_, change) => {
    const session = await begin()
    expect(await check({ ...password(session), ...change })).toMatchObject({ errcode: 'M_FORBIDDEN' })
    expect(checks).toBe(0)
  })

  it.each(['@bob:example.org', 'bob', '@alice:elsewhere.org'])(
    'offers %s no further attempt',
    async (user) => {
      const other = { ...password(await begin()), identifier: { type: 'm.id.user', user } }
      await expect(check(other)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
      expect(checks).toBe(0)
    },
  )

  it('binds a session to what it began with', async () => {
    const session = await begin('DELETE /device/A')
    expect(await check(password(session), 'DELETE /device/B')).toMatchObject({ errcode: 'M_FORBIDDEN' })
  })

  it('is good for one success and a bounded time', async () => {
    const used = await begin()
    await check(password(used))
    expect(await check(password(used))).toMatchObject({ errcode: 'M_FORBIDDEN' })
    const old = await begin()
    now += INTERACTIVE_SESSION_MS
    expect(await check(password(old))).toMatchObject({ errcode: 'M_FORBIDDEN' })
  })

  it('bounds the attempts of a session', async () => {
    const session = await begin()
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) await check(password(session, 'wrong'))
    expect((await check(password(session)))?.session).not.toBe(session)
    expect(checks).toBe(MAX_ATTEMPTS)
  })

  it('bounds the sessions', async () => {
    const first = await begin()
    for (let count = 0; count < MAX_INTERACTIVE_SESSIONS; count += 1) await begin()
    expect(await check(password(first))).toMatchObject({ errcode: 'M_FORBIDDEN' })
  })

  it('goes through the stages of a flow in order', async () => {
    const stages = ['m.login.dummy', 'm.login.password']
    const session = (await interactive.check('x', undefined, stages, ALICE))?.session ?? ''
    expect(await interactive.check('x', password(session), stages, ALICE)).toMatchObject({
      errcode: 'M_FORBIDDEN',
    })
    const next = await interactive.check('x', { type: 'm.login.dummy', session }, stages, ALICE)
    expect(next).toMatchObject({ session, completed: ['m.login.dummy'] })
    expect(await interactive.check('x', password(session), stages, ALICE)).toBeUndefined()
  })

  it('asks an account without a password for the dummy stage', async () => {
    expect(await interactive.stagesFor(ALICE)).toEqual(PASSWORD)
    expect(await interactive.stagesFor('@bob:example.org' as UserId)).toEqual(['m.login.dummy'])
  })

  it('takes the registration token, and no other', async () => {
    const stages = ['m.login.registration_token']
    const begun = await interactive.check('POST /register', undefined, stages)
    const auth = { type: 'm.login.registration_token', session: begun?.session ?? '' }
    for (const wrong of [{}, { token: '' }, { token: 'Secret' }, { token: 1 }])
      expect(await interactive.check('POST /register', { ...auth, ...wrong }, stages)).toMatchObject({
        errcode: 'M_FORBIDDEN',
      })
    expect(await interactive.check('POST /register', { ...auth, token: 'secret' }, stages)).toBeUndefined()
  })
})
