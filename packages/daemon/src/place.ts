/** Whether the store is the one that this process had last, or a copy that was put in its place. */
import { randomUUID } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Place } from '@plexus/engine/ports'
import { writeDurably } from './data-folder.ts'

const FILE = 'place'

/**
 * What the file is that each start writes anew: its text, and when the file system last changed what it knows of the file, which
 * no copy keeps. The store notes it, so that one from an older backup, and a whole folder that was copied, differ.
 */
export function renewPlace(folder: string): Place {
  const before = read(folder)
  writeDurably(folder, FILE, randomUUID())
  return { before, now: read(folder) ?? '' }
}

function read(folder: string): string | undefined {
  const path = join(folder, FILE)
  try {
    const { ino, ctimeNs } = statSync(path, { bigint: true })
    return `${readFileSync(path, 'utf8')} ${ino} ${ctimeNs}`
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
