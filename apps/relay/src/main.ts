import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runMain } from '@plexus/daemon'
import { startRelayApp } from './app.ts'
import { type Flags, HELP, readFlags } from './flags.ts'
import { buildWeb } from './web-build.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

await runMain<Flags>({
  name: 'plexus',
  help: HELP,
  read: () => readFlags(process.argv.slice(2), join(ROOT, 'data')),
  logLevel: () => 'info',
  async start(flags, log, stop) {
    const app = await startRelayApp({ log, build: () => buildWeb(ROOT, stop) }, flags)
    console.log(`Plexus is at ${app.address}`)
    if (app.adminPort !== undefined) console.log(`health and metrics at port ${app.adminPort}`)
    return app
  },
})
