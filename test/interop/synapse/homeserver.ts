/** Synapse, and the headless node with a DNS name, as processes on loopback that federate over HTTPS. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../kit/free-port.ts'
import { startNodeApp } from '../../kit/node-app.ts'
import { watchOutput } from '../../kit/process.ts'
import { createTestCa } from '../../kit/test-ca.ts'

const START_LIMIT_MS = 60_000

export interface Homeserver {
  readonly kind: 'plexus' | 'synapse'
  /** `localhost:port`, where it federates. */
  readonly name: string
  /** The address of its Client-Server API, without a trailing slash. */
  readonly url: string
  start(): Promise<void>
  stop(signal?: NodeJS.Signals): Promise<void>
  /** What it has written, of all times that it ran. */
  output(): string
}

/** The certificate of `localhost`. Paths of PEM files. */
export type Tls = { readonly ca: string; readonly cert: string; readonly key: string }

/** What a started server is to its `Homeserver`. */
type Running = { stop(signal?: NodeJS.Signals): Promise<unknown>; output(): string }

/** The servers, started, with open registration and without rate limits, under one certificate authority. `stop` ends all. */
export async function startServers(
  kinds: readonly Homeserver['kind'][],
  python: string,
): Promise<{ readonly servers: readonly Homeserver[]; readonly tls: Tls; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'plexus-interop-'))
  const tls = await (await createTestCa()).write(folder, ['localhost', '127.0.0.1'])
  const servers: Homeserver[] = []
  for (const [index, kind] of kinds.entries()) {
    const own = join(folder, String(index))
    servers.push(await (kind === 'plexus' ? plexusServer(own, tls) : synapseServer(own, tls, python)))
  }
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()))
    rmSync(folder, { recursive: true, force: true })
  }
  const starts = await Promise.allSettled(servers.map((server) => server.start()))
  const failed = starts.find((start) => start.status === 'rejected')
  if (failed !== undefined) {
    // Those that did start would outlive the test.
    await stop()
    throw failed.reason
  }
  return { servers, tls, stop }
}

async function plexusServer(folder: string, tls: Tls): Promise<Homeserver> {
  const [client, federation] = [await freePort(), await freePort()]
  const name = `localhost:${federation}`
  const flags = {
    '--client-api': `127.0.0.1:${client}`,
    '--server-name': name,
    '--federation': `127.0.0.1:${federation}`,
    '--tls-cert': tls.cert,
    '--tls-key': tls.key,
    '--ca': tls.ca,
    '--registration': 'open',
    '--rate-limits': 'off',
  }
  const args = [...Object.entries(flags).flat(), '--private-addresses']
  return homeserver('plexus', name, client, () => startNodeApp(folder, args))
}

async function synapseServer(folder: string, tls: Tls, python: string): Promise<Homeserver> {
  const [client, federation] = [await freePort(), await freePort()]
  const name = `localhost:${federation}`
  mkdirSync(folder)
  const file = join(folder, 'homeserver.yaml')
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(synapseConfig({ folder, name, client, federation, tls })))
  writeFileSync(
    join(folder, 'signing.key'),
    `ed25519 one ${randomBytes(32).toString('base64').replace('=', '')}\n`,
  )
  writeFileSync(join(folder, 'log.yaml'), JSON.stringify(LOG))
  return homeserver('synapse', name, client, () => startSynapse({ python, folder, file, port: client }))
}

const LOG = {
  version: 1,
  formatters: { line: { format: '%(asctime)s %(levelname)s %(name)s %(request)s %(message)s' } },
  handlers: { err: { class: 'logging.StreamHandler', formatter: 'line' } },
  root: { level: process.env['INTEROP_LOG'] ?? 'WARNING', handlers: ['err'] },
  disable_existing_loggers: false,
} as const

const NO_LIMIT = { per_second: 1e6, burst_count: 1e6 } as const

function synapseConfig(init: {
  readonly folder: string
  readonly name: string
  readonly client: number
  readonly federation: number
  readonly tls: Tls
}): object {
  const { folder, name, client, federation, tls } = init
  const listener = { type: 'http', bind_addresses: ['127.0.0.1'] }
  return {
    server_name: name,
    pid_file: join(folder, 'pid'),
    listeners: [
      { ...listener, port: client, resources: [{ names: ['client'] }] },
      { ...listener, port: federation, tls: true, resources: [{ names: ['federation'] }] },
    ],
    tls_certificate_path: tls.cert,
    tls_private_key_path: tls.key,
    federation_custom_ca_list: [tls.ca],
    ip_range_blacklist: [],
    federation_ip_range_blacklist: [],
    trusted_key_servers: [],
    database: { name: 'sqlite3', args: { database: join(folder, 'synapse.db') } },
    log_config: join(folder, 'log.yaml'),
    media_store_path: join(folder, 'media'),
    signing_key_path: join(folder, 'signing.key'),
    macaroon_secret_key: 'not secret',
    form_secret: 'not secret',
    report_stats: false,
    enable_registration: true,
    enable_registration_without_verification: true,
    // Synapse's own default, cheap here: people are made by the dozen.
    bcrypt_rounds: 4,
    presence: { enabled: true },
    allow_public_rooms_over_federation: true,
    room_list_publication_rules: [{ action: 'allow' }],
    rc_message: NO_LIMIT,
    rc_registration: NO_LIMIT,
    rc_login: { address: NO_LIMIT, account: NO_LIMIT, failed_attempts: NO_LIMIT },
    rc_joins: { local: NO_LIMIT, remote: NO_LIMIT },
    rc_joins_per_room: NO_LIMIT,
    rc_invites: { per_room: NO_LIMIT, per_user: NO_LIMIT, per_issuer: NO_LIMIT },
    rc_room_creation: NO_LIMIT,
    rc_key_requests: NO_LIMIT,
    rc_presence: { per_user: NO_LIMIT },
    rc_federation: { window_size: 1000, sleep_limit: 1e6, sleep_delay: 0, reject_limit: 1e6, concurrent: 50 },
  }
}

async function startSynapse(init: {
  readonly python: string
  readonly folder: string
  readonly file: string
  readonly port: number
}): Promise<Running> {
  const { python, folder, file, port } = init
  const child = spawn(python, ['-m', 'synapse.app.homeserver', '-c', file], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const seen = watchOutput(child)
  let ended = false
  const end = new Promise<void>((resolve) => {
    child.once('close', () => {
      ended = true
      resolve()
    })
  })
  const limit = AbortSignal.timeout(START_LIMIT_MS)
  while (!(await answers(port, limit))) {
    if (!ended && !limit.aborted) continue
    child.kill('SIGKILL')
    throw new Error(`Synapse does not start:\n${seen.text()}`)
  }
  return {
    output: () => seen.text(),
    stop(signal = 'SIGTERM') {
      child.kill(signal)
      return end
    },
  }
}

/** Whether the Client-Server API answers; a quarter of a second later where it does not. */
async function answers(port: number, signal: AbortSignal): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/_matrix/client/versions`, { signal })).ok
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 250))
    return false
  }
}

function homeserver(
  kind: Homeserver['kind'],
  name: string,
  port: number,
  run: () => Promise<Running>,
): Homeserver {
  let running: Running | undefined
  let before = ''
  return {
    kind,
    name,
    url: `http://127.0.0.1:${port}`,
    output: () => before + (running?.output() ?? ''),
    async start() {
      running ??= await run()
    },
    async stop(signal) {
      await running?.stop(signal)
      before += running?.output() ?? ''
      running = undefined
    },
  }
}
