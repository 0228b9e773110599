/** Places of servers that the operator names, for tests and for networks without DNS. */
import { readFileSync } from 'node:fs'
import type { ServerName } from '@plexus/core'
import { parseServerName } from '@plexus/core'

/** In UTF-16 code units. */
const MAX_MAP_LENGTH = 1_048_576

export interface ResolveMap {
  /** `host:port` of a server; `undefined` where the map does not say. */
  get(name: ServerName): string | undefined
}

export type ResolveMapInit = {
  /** `name=host:port`, separated by commas. */
  readonly text?: string | undefined
  /** A file of such lines. It is read again when a name is missing, since servers may come later. */
  readonly file?: string | undefined
}

export function createResolveMap({ text = '', file }: ResolveMapInit): ResolveMap {
  const fixed = parse(text)
  let fromFile: ReadonlyMap<string, string> = new Map()
  return {
    get(name) {
      const known = fixed.get(name) ?? fromFile.get(name)
      if (known !== undefined || file === undefined) return known
      fromFile = parse(readIfThere(file))
      return fromFile.get(name)
    },
  }
}

function parse(text: string): ReadonlyMap<string, string> {
  const entries = text
    .slice(0, MAX_MAP_LENGTH)
    .split(/[,\n]/)
    .flatMap((line): [string, string][] => {
      const [name = '', place = ''] = line.trim().split('=', 2)
      return parseServerName(name) === undefined || parseServerName(place) === undefined
        ? []
        : [[name, place]]
    })
  return new Map(entries)
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}
