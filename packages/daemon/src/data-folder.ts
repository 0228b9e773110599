import { randomUUID } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { acquireFolderLock } from '@plexus/store/folder-lock'
import { StartError } from './start-error.ts'

/**
 * Replaces the file at once, readable by its owner only: after a crash, and where the disk is full, there is the old
 * content or the new.
 */
export function writeDurably(folder: string, name: string, text: string): void {
  const temporary = join(folder, `.${name}.${randomUUID()}`)
  try {
    writeSynced(temporary, text)
    renameSync(temporary, join(folder, name))
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
  syncFolder(folder)
}

function writeSynced(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    // Not `writeSync`, which writes what there is room for and says so by its answer alone.
    writeFileSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** Without this a power cut may take the new name away again. */
function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/**
 * Opens a folder for what a process keeps, creating it when there is none; answers with its absolute path.
 * @throws StartError when it cannot be written to.
 */
export function openDataFolder(folder: string): string {
  const path = resolve(folder)
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const probe = join(path, `.probe.${randomUUID()}`)
    closeSync(openSync(probe, 'wx', 0o600))
    rmSync(probe)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error)
    const advice = 'name a folder that can be written to with --data'
    throw new StartError(`the data folder ${path} is not writable (${code}): ${advice}`, { cause: error })
  }
  return path
}

/** Keeps a second process off the folder. `taken` says what to do about it. @throws StartError */
export async function acquireDataFolder(path: string, taken: string): Promise<AsyncDisposable> {
  const owner = await acquireFolderLock(path).catch((error: unknown) => {
    throw new StartError(`the file lock in ${path} is damaged: delete it`, { cause: error })
  })
  if (owner === undefined) throw new StartError(taken)
  return { [Symbol.asyncDispose]: () => owner.release() }
}
