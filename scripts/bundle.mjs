// Makes one file of an app and of all that it imports: it starts in a fifth of the time and in two thirds of the memory.
// `node scripts/bundle.mjs <app>…` makes them in any case. Plain JavaScript, since scripts/run.mjs imports it on Node 20.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const self = fileURLToPath(import.meta.url)
/** They load code of the machine from where they lie. */
const NATIVE = /^(?:sharp|node-datachannel)(?:\/|$)/

const byText = (a, b) => (a < b ? -1 : 1)

/** Of the sources, their sizes and times: to read them all would cost as much as it saves. */
function digestOf(app) {
  const hash = createHash('sha256')
  const note = (path) => {
    const { size, mtimeMs } = statSync(path)
    hash.update(`${path}\0${size}\0${mtimeMs}\n`)
  }
  // What Git removed may have left a folder with its modules behind.
  const packages = readdirSync(join(root, 'packages'))
    .map((name) => join(root, 'packages', name))
    .filter((folder) => existsSync(join(folder, 'package.json')))
  for (const folder of [join(root, 'apps', app), ...packages]) {
    const source = join(folder, 'src')
    note(join(folder, 'package.json'))
    for (const name of readdirSync(source, { recursive: true }).sort(byText))
      if (name.endsWith('.ts') && !name.endsWith('.test.ts')) note(join(source, name))
  }
  for (const path of [self, join(root, 'pnpm-lock.yaml')]) note(path)
  return hash.digest('hex')
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

/** How Node runs a bundle: the young generation, 16 MB a half by default, costs more than it gains beyond 2 MB. */
export const BUNDLE_FLAGS = ['--max-semi-space-size=2']

/** The bundle of apps/`app`, made anew by `node` (the pinned one) when a source changed. @throws when that fails */
export function bundleOf(app, node) {
  const folder = join(root, 'apps', app, 'dist')
  const digest = digestOf(app)
  if (readIfThere(join(folder, 'digest')) !== digest) {
    const { status } = spawnSync(node, [self, app], { cwd: root, stdio: ['ignore', 2, 2] })
    if (status !== 0) throw new Error(`the bundle of ${app} could not be made; the lines above say why`)
  }
  return join(folder, 'main.js')
}

async function make(app) {
  const digest = digestOf(app)
  const folder = join(root, 'apps', app, 'dist')
  // Another process may be at the same work: each writes its own, and whole ones are put in place.
  const own = join(folder, `${process.pid}`)
  const { build } = await import('vite')
  await build({
    root,
    configFile: false,
    logLevel: 'warn',
    ssr: { noExternal: true },
    plugins: [
      {
        name: 'native',
        enforce: 'pre',
        async resolveId(id, importer, options) {
          if (!NATIVE.test(id)) return null
          const found = await this.resolve(id, importer, { ...options, skipSelf: true })
          return found === null ? null : { id: found.id, external: 'absolute' }
        },
      },
    ],
    build: {
      ssr: join(root, 'apps', app, 'src', 'main.ts'),
      outDir: own,
      target: 'node26',
      rolldownOptions: {
        output: {
          codeSplitting: false,
          entryFileNames: 'main.js',
          // Without spaces and comments, but what a stack says can be read.
          minify: { mangle: false, compress: true, codegen: true },
        },
      },
    },
  })
  renameSync(join(own, 'main.js'), join(folder, 'main.js'))
  writeFileSync(join(own, 'digest'), digest)
  renameSync(join(own, 'digest'), join(folder, 'digest'))
  rmSync(own, { recursive: true })
}

if (process.argv[1] === self) for (const app of process.argv.slice(2)) await make(app)
