/** The certificate of a server, which is renewed while it runs. */
import { unwatchFile, watchFile } from 'node:fs'
import type { Log } from '@plexus/engine/ports'
import { readTls, type Tls } from './listen.ts'
import { StartError } from './start-error.ts'

export type TlsFiles = { readonly cert: string; readonly key: string }

/** How often the files are looked at. Looking follows links, in whose place renewals put others. */
const LOOK_MS = 10_000

export interface TlsWatch extends Disposable {
  /** Reads the files now. */
  look(): void
}

/** Calls `changed` with what is in the files whenever they change. Two that do not fit yet are said, and wait for the next change. */
export function watchTls(
  files: TlsFiles,
  { log, changed, everyMs = LOOK_MS }: { log: Log; changed: (tls: Tls) => void; everyMs?: number },
): TlsWatch {
  const look = (): void => {
    try {
      changed(readTls(files))
      log.log('info', 'the certificate was read anew')
    } catch (error) {
      if (!(error instanceof StartError)) throw error
      log.log('warn', 'the certificate could not be read anew', { error: error.message })
    }
  }
  const watched = [files.cert, files.key]
  for (const file of watched) watchFile(file, { interval: everyMs, persistent: false }, look)
  return {
    look,
    [Symbol.dispose]() {
      for (const file of watched) unwatchFile(file, look)
    },
  }
}
