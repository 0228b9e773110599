/** Password hashes: scrypt (RFC 7914) with its parameters beside it. */
import { decodeBase64, encodeBase64 } from '@plexus/core'
import { scryptAsync } from '@noble/hashes/scrypt.js'
import type { Random } from '../ports.ts'
import type { PasswordHash } from './tables.ts'
import { UserError } from './types.ts'

/** N = 2^15, r = 8, p = 3: as costly as OWASP's recommendation of 2^17 and p = 1, in a quarter of the memory. */
const PASSWORD_COST = 15
const PARALLELISM = 3
const BLOCK_SIZE = 8
const SALT_BYTES = 16
const HASH_BYTES = 32
/** Each takes 32 MiB and a second of a slow machine. */
export const MAX_PASSWORD_CHECKS = 20
/** In UTF-16 code units. */
export const MAX_PASSWORD_LENGTH = 512
const MIN_PASSWORD_LENGTH = 8

export interface Passwords {
  /** @throws UserError M_WEAK_PASSWORD, M_LIMIT_EXCEEDED. */
  hash(password: string): Promise<PasswordHash>
  /** Takes equally long for every password. Without `stored` too, so that unknown users do not show. */
  check(password: string, stored: PasswordHash | undefined): Promise<boolean>
}

/** `cost` is log2 of N. Answers with `bytes` bytes. */
export type Scrypt = (
  password: string,
  salt: Uint8Array,
  parameters: { readonly cost: number; readonly r: number; readonly p: number; readonly bytes: number },
) => Promise<Uint8Array>

/** For platforms without one: it takes the thread in slices, a second in all. */
const portableScrypt: Scrypt = (password, salt, { cost, r, p, bytes }) =>
  scryptAsync(password, salt, { N: 2 ** cost, r, p, dkLen: bytes })

export type PasswordsInit = {
  /** log2 of the scrypt cost N of new hashes. */
  readonly cost?: number | undefined
  readonly scrypt?: Scrypt | undefined
}

export function createPasswords(random: Random, init: PasswordsInit = {}): Passwords {
  const { cost: newCost = PASSWORD_COST, scrypt = portableScrypt } = init
  let waiting = 0
  let last: Promise<unknown> = Promise.resolve()

  const derive = async (password: string, salt: Uint8Array, cost: number, p: number): Promise<Uint8Array> => {
    if (waiting >= MAX_PASSWORD_CHECKS) {
      throw new UserError('M_LIMIT_EXCEEDED', 'too many passwords are being checked; try again')
    }
    waiting += 1
    // One at a time: each fills its memory.
    const result = last.then(() =>
      scrypt(password.normalize('NFC'), salt, { cost, r: BLOCK_SIZE, p, bytes: HASH_BYTES }),
    )
    last = result.catch(() => undefined)
    try {
      return await result
    } finally {
      waiting -= 1
    }
  }

  return {
    async hash(password) {
      if (password.length < MIN_PASSWORD_LENGTH) {
        throw new UserError('M_WEAK_PASSWORD', `a password has at least ${MIN_PASSWORD_LENGTH} characters`)
      }
      if (password.length > MAX_PASSWORD_LENGTH) {
        throw new UserError('M_WEAK_PASSWORD', `a password has at most ${MAX_PASSWORD_LENGTH} characters`)
      }
      const salt = random.bytes(SALT_BYTES)
      const hash = await derive(password, salt, newCost, PARALLELISM)
      return { cost: newCost, parallelism: PARALLELISM, salt: encodeBase64(salt), hash: encodeBase64(hash) }
    },
    async check(password, stored) {
      const salt = stored === undefined ? new Uint8Array(SALT_BYTES) : decodeBase64(stored.salt)
      const wanted = stored === undefined ? new Uint8Array(HASH_BYTES) : decodeBase64(stored.hash)
      if (salt === undefined || wanted === undefined || password.length > MAX_PASSWORD_LENGTH) return false
      const found = await derive(password, salt, stored?.cost ?? newCost, stored?.parallelism ?? PARALLELISM)
      return equal(found, wanted) && stored !== undefined
    },
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let index = 0; index < a.length; index += 1) difference |= (a[index] ?? 0) ^ (b[index] ?? 0)
  return difference === 0
}
