/** Opens the mail of a relay, as its flags want it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { StartError } from '@plexus/daemon'
import { type MailRegistration, openSqliteMailStore, type RelayInit } from '@plexus/relay'
import type { MailFlags } from './mail-flags.ts'

/** A token, or a list of names; one beyond this is neither. */
const MAX_FILE_LENGTH = 16 * 1024 * 1024
const MIN_TOKEN_LENGTH = 16
const MAX_TOKEN_LENGTH = 256

/** @throws StartError that names the file, never its content. */
function readRegistration({ mode, file }: MailFlags['registration']): MailRegistration {
  if (mode === 'open' || file === undefined) return { mode: 'open' }
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new StartError(`--mail-registration-file ${file} cannot be read (${code})`, { cause: error })
  }
  if (text.length > MAX_FILE_LENGTH) throw new StartError(`--mail-registration-file ${file} is too long`)
  if (mode === 'list') {
    const names = text.split('\n').map((line) => line.trim())
    return { mode, names: new Set(names.filter((name) => name !== '')) }
  }
  const token = text.trim()
  if (token.length < MIN_TOKEN_LENGTH || token.length > MAX_TOKEN_LENGTH)
    throw new StartError(
      `--mail-registration-file ${file}: a token has ${MIN_TOKEN_LENGTH} to ${MAX_TOKEN_LENGTH} characters`,
    )
  return { mode, token }
}

/** The mail in the data folder, which nobody else has open. @throws StartError */
export function openMail(flags: MailFlags, folder: string): NonNullable<RelayInit['mail']> {
  const { registration, maxBytes, ...policy } = flags
  const path = join(folder, 'mail.sqlite')
  const who = readRegistration(registration)
  try {
    return { policy: { ...policy, registration: who }, store: openSqliteMailStore(path, { maxBytes }) }
  } catch (error) {
    const advice = 'restore it, or delete it and what nodes left there is lost'
    throw new StartError(`${path} cannot be opened: ${advice}`, { cause: error })
  }
}
