// Runs `node scripts/run.mjs <script.ts> [args]` on a fresh clone: installs when the lockfile changed, then runs the
// script with the pinned Node, with nothing between it and a signal. Plain JavaScript without dependencies, since
// nothing is installed yet; it must run on Node 20.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')
const stamp = join(root, 'node_modules', '.plexus-lock')
const installed = createHash('sha256')
for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json']) {
  installed.update(readFileSync(join(root, file)))
}
const digest = installed.digest('hex')
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== digest) {
  const { status } = spawnSync(process.execPath, [join(root, 'scripts', 'pnpm.mjs'), 'install', '--frozen-lockfile'], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(status ?? 1)
  writeFileSync(stamp, digest)
}

const [script, ...args] = process.argv.slice(2)
const child = spawn(join(bin, 'node'), [join(root, script), ...args], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: bin + delimiter + process.env.PATH },
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)))
