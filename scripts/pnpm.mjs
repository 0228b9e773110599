// Runs the pinned pnpm (`config.pnpm` in package.json) with the arguments given: `node scripts/pnpm.mjs install`.
// Plain JavaScript without dependencies: it is what installs them.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const { config } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const { status, error } = spawnSync('npx', ['-y', `pnpm@${config.pnpm}`, ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, CI: 'true' },
})
if (error !== undefined) console.error(`plexus: npx did not start: ${error.message}`)
process.exit(status ?? 1)
