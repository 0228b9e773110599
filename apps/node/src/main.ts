import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runMain } from '@plexus/daemon'
import { startNodeApp } from './app.ts'
import { HELP, readConfig, type Config } from './config.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

await runMain<Config>({
  name: 'plexus node',
  help: HELP,
  read: () => readConfig(process.argv.slice(2), process.env, join(ROOT, 'data', 'node')),
  logLevel: ({ logLevel }) => logLevel,
  async start(config, log) {
    const app = await startNodeApp(log, config)
    console.log(`Plexus node ${app.serverName}`)
    console.log(`clients connect to ${app.clientApi}`)
    if (app.federationPort !== undefined) console.log(`servers connect to port ${app.federationPort}`)
    console.log(`health and metrics at ${app.admin}`)
    if (app.tokenFile !== undefined) console.log(`the registration token is in ${app.tokenFile}`)
    return app
  },
})
