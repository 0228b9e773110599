import { createHash } from 'node:crypto'
import { globSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { lookup } from 'mrmime'
import { StartError } from '@plexus/daemon'

/** Best first: the order in which a client that accepts several gets them. */
export const ENCODINGS = ['br', 'gzip'] as const
export type Encoding = (typeof ENCODINGS)[number] | 'identity'

const SUFFIX: Readonly<Record<(typeof ENCODINGS)[number], string>> = { br: '.br', gzip: '.gz' }

/** One file of the app. `identity` is always there. */
export type Asset = {
  readonly type: string
  /** Weak, since the compressed bodies share it. */
  readonly etag: string
  readonly bodies: ReadonlyMap<Encoding, Uint8Array>
}

/** The whole built app is a few megabytes; a folder beyond this is not it. */
const MAX_TOTAL_BYTES = 128 * 1024 * 1024

/**
 * Reads the built app into memory, by path (`/index.html`), compressed copies included. What runs is so what was
 * built when it started, whole: a rebuild meanwhile neither mixes versions nor takes a file away.
 */
export function readSnapshot(dist: string): ReadonlyMap<string, Asset> {
  const names = globSync('**/*', { cwd: dist }).filter((name) => statSync(join(dist, name)).isFile())
  const present = new Set(names)
  const isCopy = (name: string): boolean =>
    ENCODINGS.some((kind) => name.endsWith(SUFFIX[kind]) && present.has(name.slice(0, -SUFFIX[kind].length)))
  const assets = new Map<string, Asset>()
  let total = 0
  const read = (name: string): Uint8Array => {
    const bytes = readFileSync(join(dist, name))
    total += bytes.length
    if (total > MAX_TOTAL_BYTES) throw new StartError(`${dist} holds more than ${MAX_TOTAL_BYTES} bytes`)
    return bytes
  }
  for (const name of names.filter((candidate) => !isCopy(candidate))) {
    const identity = read(name)
    const bodies = new Map<Encoding, Uint8Array>([['identity', identity]])
    for (const kind of ENCODINGS) {
      if (present.has(name + SUFFIX[kind])) bodies.set(kind, read(name + SUFFIX[kind]))
    }
    const etag = `W/"${createHash('sha256').update(identity).digest('base64url').slice(0, 22)}"`
    assets.set(`/${name.replaceAll('\\', '/')}`, { type: typeOf(name), etag, bodies })
  }
  if (!assets.has('/index.html'))
    throw new StartError(`there is no web app in ${dist}: npm run build makes it`)
  return assets
}

function typeOf(name: string): string {
  const type = lookup(name) ?? 'application/octet-stream'
  return type.startsWith('text/') ? `${type}; charset=utf-8` : type
}
