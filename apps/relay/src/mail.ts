/** Opens the mail of a relay, as its flags want it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { clock, renewPlace, StartError } from '@plexus/daemon'
import type { Log } from '@plexus/engine/ports'
import {
  type MailRegistration,
  type MailStore,
  mendSqliteMailStore,
  openNatsMailStore,
  openSqliteMailStore,
  placeSqliteMailStore,
  type RelayInit,
} from '@plexus/relay'
import type { MailFlags } from './mail-flags.ts'

/** A token, or a list of names; one beyond this is neither. */
const MAX_FILE_LENGTH = 16 * 1024 * 1024
const MIN_TOKEN_LENGTH = 16
const MAX_TOKEN_LENGTH = 256

/** @throws StartError that names the file, never its content. */
function readRegistration({ mode, file }: MailFlags['registration']): MailRegistration {
  if (mode === 'open' || file === undefined) return { mode: 'open' }
  const text = readText('--mail-registration-file', file)
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

function readText(flag: string, file: string): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new StartError(`${flag} ${file} cannot be read (${code})`, { cause: error })
  }
  if (text.length > MAX_FILE_LENGTH) throw new StartError(`${flag} ${file} is too long`)
  return text
}

type Place = { readonly log: Log; readonly folder: string }

/** The mail in the data folder, which nobody else has open, or in the cluster, which other relays have. @throws StartError */
export async function openMail(
  { registration, maxBytes, nats, ...policy }: MailFlags,
  place: Place,
): Promise<NonNullable<RelayInit['mail']>> {
  const who = readRegistration(registration)
  const store = nats === undefined ? openFile(place, maxBytes) : await openCluster(place, { nats, maxBytes })
  return { policy: { ...policy, registration: who }, store }
}

function openFile({ folder, log }: Place, maxBytes: number): MailStore {
  const path = join(folder, 'mail.sqlite')
  try {
    const salvaged = mendSqliteMailStore(path, clock.now())
    if (salvaged !== undefined)
      log.log('error', 'the mail was damaged: it was put aside, and what could be read of it kept', salvaged)
    if (placeSqliteMailStore(path, renewPlace(folder)))
      log.log('warn', 'the mail is a copy: one-time keys that it may have given out already are dropped')
    return openSqliteMailStore(path, { maxBytes })
  } catch (error) {
    const advice = 'restore it, or delete it and what nodes left there is lost'
    throw new StartError(`${path} cannot be opened: ${advice}`, { cause: error })
  }
}

type ClusterInit = { readonly nats: NonNullable<MailFlags['nats']>; readonly maxBytes: number }

async function openCluster({ log }: Place, { nats, maxBytes }: ClusterInit): Promise<MailStore> {
  const { servers, tokenFile, caFile } = nats
  const token = tokenFile && readText('--mail-nats-token-file', tokenFile).trim()
  const ca = caFile && readText('--mail-nats-ca', caFile)
  try {
    return await openNatsMailStore({ log, now: () => clock.now() }, { servers, token, ca, maxBytes })
  } catch (error) {
    throw new StartError(`--mail-nats: ${(error as Error).message}`, { cause: error })
  }
}
