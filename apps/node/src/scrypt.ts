import { scrypt as scryptInThread, type ScryptOptions } from 'node:crypto'
import { promisify } from 'node:util'
import type { Scrypt } from '@plexus/engine'

const derive = promisify<string, Uint8Array, number, ScryptOptions, Buffer>(scryptInThread)
/** Beside the 128 N r bytes of RFC 7914 OpenSSL counts some of its own. */
const SPARE_BYTES = 1_048_576

/** OpenSSL's, in a thread of the pool: requests are answered meanwhile. */
export const scrypt: Scrypt = async (password, salt, { cost, r, p, bytes }) => {
  const N = 2 ** cost
  const maxmem = 128 * N * r + 128 * r * p + SPARE_BYTES
  return new Uint8Array(await derive(password, salt, bytes, { N, r, p, maxmem }))
}
