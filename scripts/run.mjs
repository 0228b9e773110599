// Runs `node scripts/run.mjs <script.ts> [args]` on a fresh clone: installs when the lockfile changed, bundles an app when
// its sources changed, then runs the script with the pinned Node, with nothing between it and a signal. Plain JavaScript
// without dependencies, since nothing is installed yet; it must run on Node 20.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BUNDLE_FLAGS, bundleOf } from './bundle.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')
const PARENT_CHECK_MS = 500
const stamp = join(root, 'node_modules', '.plexus-lock')

/** What an installation depends on; a changed script or version of the root package alone installs nothing. */
function digestOfInstallation() {
  const { config } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const hash = createHash('sha256').update(JSON.stringify([config.pnpm, process.platform, process.arch]))
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) hash.update(readFileSync(join(root, file)))
  return hash.digest('hex')
}

function install(digest) {
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return
  // Without the stamp an installation that is cut short is done again.
  rmSync(stamp, { force: true })
  console.error('plexus: installing (once per lockfile)')
  const pnpm = join(root, 'scripts', 'pnpm.mjs')
  const { status } = spawnSync(process.execPath, [pnpm, 'install', '--frozen-lockfile'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  })
  if (status !== 0) {
    console.error('plexus: the installation failed; the lines above say why. It needs the npm registry once.')
    process.exit(status || 1)
  }
  writeFileSync(stamp, digest)
}

/** Empty when this platform has no pinned Node and the one that runs is too old. */
function nodeToRun() {
  const pinned = join(bin, 'node')
  if (existsSync(pinned)) return pinned
  return Number(process.versions.node.split('.')[0]) >= 26 ? process.execPath : ''
}

const [script, ...args] = process.argv.slice(2)
if (script === undefined) {
  console.error('usage: node scripts/run.mjs <script.ts> [arguments]')
  process.exit(2)
}
install(digestOfInstallation())
const node = nodeToRun()
if (node === '') {
  console.error(`plexus: no pinned Node for ${process.platform}-${process.arch}; run this with Node 26`)
  process.exit(1)
}
// The channel tells the script when this process is gone, so that a killed `npm start` leaves no server behind.
const [, app] = /^apps\/(\w+)\/src\/main\.ts$/.exec(script) ?? []
const program = app === undefined ? [join(root, script)] : [...BUNDLE_FLAGS, bundleOf(app, node)]
const child = spawn(node, [...program, ...args], {
  cwd: root,
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  env: {
    // What Node made of the sources is kept: the next start takes half the time, and 20 MB less.
    NODE_COMPILE_CACHE: join(root, 'node_modules', '.compile-cache'),
    ...process.env,
    PATH: bin + delimiter + process.env.PATH,
  },
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
// npm that is killed tells nobody. Only under npm: whoever started this directly may leave it running.
if (process.env.npm_lifecycle_event !== undefined) {
  const parent = process.ppid
  setInterval(() => process.ppid === parent || child.kill('SIGTERM'), PARENT_CHECK_MS).unref()
}
child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
