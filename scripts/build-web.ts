/**
 * `node scripts/build-web.ts`: builds apps/web into apps/web/dist when a source changed, and compresses the result, so
 * that the relay serves it as it lies there.
 */
import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const WEB = join(ROOT, 'apps', 'web')
const DIST = join(WEB, 'dist')
const STAMP = join(DIST, '.stamp')
const CACHE = join(ROOT, 'node_modules', '.cache', 'plexus-web')

/** All that the built files depend on. */
const SOURCES: readonly string[] = [
  'apps/web/{*,src/**/*,public/**/*}',
  'packages/*/{package.json,src/**/*.{ts,tsx}}',
  'patches/*',
  'pnpm-lock.yaml',
  'tsconfig.base.json',
  'scripts/build-web.ts',
]

const COMPRESSIBLE = /\.(?:css|html|js|json|map|mjs|svg|txt|wasm|webmanifest)$/
/** Below this a compressed copy saves less than its header costs. */
const MIN_BYTES = 1024
/** The crypto module takes 15 s, once, since compressed copies are kept; it saves each new visitor 190 kB over 9. */
const QUALITY = 11

function digestOfSources(): string {
  const files = globSync(SOURCES, { cwd: ROOT, exclude: ['**/*.test.ts', '**/*.test.tsx'] })
  const hash = createHash('sha256')
  for (const file of files.toSorted()) {
    const path = join(ROOT, file)
    if (statSync(path).isFile()) hash.update(`${file}\0`).update(readFileSync(path)).update('\0')
  }
  return hash.digest('hex')
}

const brotli = promisify(brotliCompress)
const deflate = promisify(gzip)

async function compressed(bytes: Buffer, kind: 'br' | 'gz'): Promise<Buffer> {
  if (kind === 'gz') return deflate(bytes, { level: 9 })
  return brotli(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: 22,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  })
}

/** Writes `file.br` and `file.gz`; the work for a content is done once, whatever its name. */
async function compressFile(path: string): Promise<void> {
  const bytes = readFileSync(path)
  if (bytes.length < MIN_BYTES) return
  const name = createHash('sha256').update(bytes).digest('hex')
  for (const kind of ['br', 'gz'] as const) {
    const cached = join(CACHE, `${name}.${QUALITY}.${kind}`)
    if (!existsSync(cached)) {
      writeFileSync(`${cached}.${process.pid}`, await compressed(bytes, kind))
      renameSync(`${cached}.${process.pid}`, cached)
    }
    writeFileSync(`${path}.${kind}`, readFileSync(cached))
  }
}

async function main(): Promise<void> {
  const digest = digestOfSources()
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === digest) return
  const start = performance.now()
  console.error('plexus: building the web app (once per change)')
  // Loaded here, since an unchanged app needs no bundler.
  const { build } = await import('vite')
  await build({ root: WEB, configFile: join(WEB, 'vite.config.ts'), logLevel: 'warn' })
  mkdirSync(CACHE, { recursive: true })
  console.error('plexus: compressing it (the first time takes a quarter of a minute)')
  const files = globSync('**/*', { cwd: DIST }).filter((file) => COMPRESSIBLE.test(file))
  await Promise.all(files.map((file) => compressFile(join(DIST, file))))
  writeFileSync(STAMP, digest)
  console.error(`plexus: built in ${((performance.now() - start) / 1000).toFixed(1)} s`)
}

await main()
