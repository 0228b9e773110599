/** Tells a database that is as its last process closed it, without reading it. */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'

const markOf = (path: string): string => `${path}.closed`

/** For a database that is closed, and in which nothing was found wrong. */
export function markClosed(path: string): void {
  try {
    writeFileSync(markOf(path), stateOf(path))
  } catch {
    // Of a full disk: the next start reads the database then.
  }
}

/** For one that is opened: what is found wrong in it is to be looked for at the next start. */
export function unmark(path: string): void {
  rmSync(markOf(path), { force: true })
}

/** False also for one that was put in its place, or written by others. */
export function isAsClosed(path: string): boolean {
  const mark = markOf(path)
  return existsSync(mark) && !existsSync(`${path}-wal`) && readFileSync(mark, 'utf8') === stateOf(path)
}

function stateOf(path: string): string {
  const { ino, size, mtimeNs } = statSync(path, { bigint: true })
  return `${ino} ${size} ${mtimeNs}`
}
