/**
 * User-interactive authentication. spec: client-server-api/_index.md "User-Interactive Authentication API"
 * A session is bound to the operation and caller it began with, and each is good for one success.
 */
import { encodeBase64Url, localpartOf } from '@plexus/core'
import type { JsonObject, UserId } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Clock, Random } from '../ports.ts'
import { objectAt, stringAt } from './read.ts'
import type { Accounts, Interactive, InteractiveChallenge, Registration } from './types.ts'
import { UserError } from './types.ts'

export const MAX_INTERACTIVE_SESSIONS = 1_000
export const INTERACTIVE_SESSION_MS: number = 15 * 60 * 1000
/** Wrong passwords within one session. */
export const MAX_ATTEMPTS = 10
const SESSION_BYTES = 18

type State = {
  readonly operation: string
  readonly begun: number
  readonly completed: string[]
  attempts: number
}

export function createInteractive(
  deps: { clock: Clock; random: Random },
  accounts: Pick<Accounts, 'hasPassword' | 'checkPassword'>,
  registration: Pick<Registration, 'isToken'>,
): Interactive {
  const { clock, random } = deps
  const sessions = createLru<string, State>(MAX_INTERACTIVE_SESSIONS)

  const challenge = (
    session: string,
    stages: readonly string[],
    state: State,
    failure?: { errcode: string; error: string },
  ): InteractiveChallenge => ({
    flows: [{ stages }],
    params: {},
    session,
    ...(state.completed.length === 0 ? {} : { completed: [...state.completed] }),
    ...failure,
  })

  const begin = (operation: string, stages: readonly string[], failure?: Failure): InteractiveChallenge => {
    const session = encodeBase64Url(random.bytes(SESSION_BYTES))
    const state: State = { operation, begun: clock.now(), completed: [], attempts: 0 }
    sessions.set(session, state)
    return challenge(session, stages, state, failure)
  }

  const passes = async (stage: string, auth: JsonObject, userId: UserId | undefined): Promise<boolean> => {
    if (stage === 'm.login.dummy') return true
    if (stage === 'm.login.registration_token') return registration.isToken(stringAt(auth, 'token') ?? '')
    const password = stringAt(auth, 'password')
    if (stage !== 'm.login.password' || password === undefined || userId === undefined) return false
    if (!hasUserName(auth)) return false
    if (!namesUser(auth, userId)) throw new UserError('M_FORBIDDEN', 'only the caller may prove who they are')
    return accounts.checkPassword(userId, password)
  }

  return {
    async stagesFor(userId) {
      return (await accounts.hasPassword(userId)) ? ['m.login.password'] : ['m.login.dummy']
    },

    async check(operation, auth, stages, userId) {
      const session = auth && stringAt(auth, 'session')
      const type = auth && stringAt(auth, 'type')
      if (auth === undefined) return begin(operation, stages)
      const found = session === undefined ? undefined : sessions.get(session)
      const state =
        found !== undefined && clock.now() - found.begun < INTERACTIVE_SESSION_MS ? found : undefined
      if (session === undefined || state === undefined || state.operation !== operation) {
        // A one-stage flow may be completed at once, without a session first.
        if (session === undefined && type !== undefined && stages.length === 1 && type === stages[0]) {
          if (await passes(type, auth, userId)) return undefined
          return begin(operation, stages, type === 'm.login.password' ? WRONG_PASSWORD : NOT_COMPLETED)
        }
        return begin(operation, stages, session === undefined ? undefined : UNKNOWN_SESSION)
      }
      const next = stages[state.completed.length]
      if (next === undefined || type !== next) return challenge(session, stages, state, NOT_COMPLETED)
      state.attempts += 1
      if (state.attempts > MAX_ATTEMPTS) {
        sessions.delete(session)
        return begin(operation, stages, UNKNOWN_SESSION)
      }
      if (!(await passes(next, auth, userId))) {
        return challenge(session, stages, state, next === 'm.login.password' ? WRONG_PASSWORD : NOT_COMPLETED)
      }
      state.completed.push(next)
      if (state.completed.length < stages.length) return challenge(session, stages, state)
      sessions.delete(session)
      return undefined
    },
  }
}

type Failure = { readonly errcode: string; readonly error: string }
const WRONG_PASSWORD: Failure = { errcode: 'M_FORBIDDEN', error: 'the user name or password is wrong' }
const NOT_COMPLETED: Failure = { errcode: 'M_FORBIDDEN', error: 'the stage was not completed' }
const UNKNOWN_SESSION: Failure = { errcode: 'M_FORBIDDEN', error: 'the session is unknown or has expired' }

/** The identifier, where there is one, is of a user, not of a phone number or the like. */
function hasUserName(auth: JsonObject): boolean {
  const type = stringAt(objectAt(auth, 'identifier') ?? {}, 'type')
  return type === undefined || type === 'm.id.user'
}

/** The user that is named, if any, is the caller. The `user` key is of clients before r0.5. */
function namesUser(auth: JsonObject, userId: UserId): boolean {
  const named = stringAt(objectAt(auth, 'identifier') ?? {}, 'user') ?? stringAt(auth, 'user')
  return named === undefined || named === userId || named === localpartOf(userId)
}
