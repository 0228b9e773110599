import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDataFolder as openFolder, StartError, writeDurably } from '@plexus/daemon'

/** What the relay keeps between runs. Its files are readable by their owner only, since some are secret. */
export interface DataFolder {
  readonly path: string
  /** The port of the last run: a new port is a new origin to a browser, and its accounts would seem lost. */
  readonly port: number | undefined
  /** Durable on return. */
  rememberPort(port: number): void
}

const SETTINGS = 'relay.json'
/** The settings are one small object; a file beyond this is not ours. */
const MAX_SETTINGS_BYTES = 4096

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error)

function readSettings(folder: string): { port: number } | undefined {
  const file = join(folder, SETTINGS)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new StartError(`${file} cannot be read (${codeOf(error)})`, { cause: error })
  }
  const port = text.length > MAX_SETTINGS_BYTES ? undefined : portIn(text)
  if (port === undefined) {
    throw new StartError(`${file} is damaged: delete it and name the port that was used before with --port`)
  }
  return { port }
}

function portIn(text: string): number | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('port' in value)) return undefined
  const { port } = value
  return typeof port === 'number' && Number.isInteger(port) && port > 0 && port <= 65_535 ? port : undefined
}

/**
 * Opens the folder, creating it when there is none.
 * @throws StartError when it cannot be written to or holds a damaged file; nothing is overwritten then.
 */
export function openDataFolder(folder: string): DataFolder {
  const path = openFolder(folder)
  const port = readSettings(path)?.port
  return {
    path,
    port,
    rememberPort(next) {
      if (next !== port) writeDurably(path, SETTINGS, `${JSON.stringify({ port: next })}\n`)
    },
  }
}
