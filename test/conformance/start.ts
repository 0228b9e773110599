#!/usr/bin/env node
/**
 * The start command of Complement's homeservers: the headless node, told by flags what the deployer says in the
 * environment. proc_deployer.go lists the variables.
 */
import { createServer } from 'node:https'
import { join } from 'node:path'
import { readdirSync, readFileSync } from 'node:fs'

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
  '--registration',
  'open',
  '--rate-limits',
  'off',
  '--url-previews',
  'on',
  '--private-addresses',
  ...appServices.flatMap((name) => ['--appservice', join(folder, name)]),
)

// The deployer waits until TLS answers at the federation's port. Over HTTPS the node serves nobody.
createServer(
  { cert: readFileSync(variable('TLS_CERT')), key: readFileSync(variable('TLS_KEY')) },
  (_, answer) =>
    answer.writeHead(404, { 'Content-Type': 'application/json' }).end('{"errcode":"M_UNRECOGNIZED"}'),
)
  .listen(Number(variable('FED_PORT')), variable('FED_HOST'))
  .unref()

await import('../../apps/node/src/main.ts')
