/** Who may make an account. spec: client-server-api/_index.md "Token-authenticated registration" */
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import type { RegistrationInit } from './deps.ts'
import type { Registration } from './types.ts'

/** spec: a token is at most 64 characters of A-Z a-z 0-9 . _ ~ - */
const TOKEN = /^[A-Za-z0-9._~-]{1,64}$/

/** @throws TypeError when a token is asked for and none is given, or one that no client could send. */
export function createRegistration({ mode, token }: RegistrationInit = { mode: 'open' }): Registration {
  if (mode === 'token' && (token === undefined || !TOKEN.test(token)))
    throw new TypeError('registration by token needs a token')
  const wanted = mode === 'token' ? digest(token ?? '') : undefined
  return {
    mode,
    stages: mode === 'token' ? ['m.login.registration_token'] : ['m.login.dummy'],
    // The time that comparing hashes takes tells nothing of the token.
    isToken: (text) => TOKEN.test(text) && wanted === digest(text),
  }
}

const digest = (text: string): string => sha256(utf8ToBytes(text)).join()
