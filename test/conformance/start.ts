#!/usr/bin/env node
/**
 * The start command of Complement's homeservers: the headless node, told by flags what the deployer says in the
 * environment. proc_deployer.go lists the variables.
 */
import { join } from 'node:path'
import { readdirSync } from 'node:fs'

function variable(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '')
    throw new Error(`${name} is not set: Complement's deployer sets it`)
  return value
}

const folder = variable('AS_DIR')
const appServices = readdirSync(folder).filter((name) => name.endsWith('.yaml'))
process.argv.push(
  '--data',
  join(variable('DATA_DIR'), 'node'),
  '--client-api',
  `${variable('CS_HOST')}:${variable('CS_PORT')}`,
  '--admin',
  '127.0.0.1:0',
  '--server-name',
  variable('SERVER_NAME'),
  '--federation',
  `${variable('FED_HOST')}:${variable('FED_PORT')}`,
  '--tls-cert',
  variable('TLS_CERT'),
  '--tls-key',
  variable('TLS_KEY'),
  '--ca',
  variable('CA_CERT'),
  '--registration',
  'open',
  '--rate-limits',
  'off',
  '--url-previews',
  'on',
  '--private-addresses',
  ...appServices.flatMap((name) => ['--appservice', join(folder, name)]),
)

await import('../../apps/node/src/main.ts')
