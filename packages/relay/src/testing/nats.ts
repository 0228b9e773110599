/** NATS servers on loopback, of whatever version the machine has. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Debian puts it where only root looks. */
const CANDIDATES = [process.env['NATS_SERVER'], 'nats-server', '/usr/sbin/nats-server']

function versionOf(program: string): string | undefined {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  return status === 0 ? /v(\d+\.\d+)/.exec(stdout)?.[1] : undefined
}

const found = CANDIDATES.filter((program) => program !== undefined && program !== '')
  .map((program) => ({ program: program as string, version: versionOf(program as string) }))
  .find(({ version }) => version !== undefined)

/** Why tests that need it are skipped; empty where it is. */
export const natsMissing: string =
  found === undefined ? ' (skipped: there is no nats-server; Debian: apt-get install nats-server)' : ''

/** The same for a cluster, which older servers do not keep together. */
export const natsClusterMissing: string =
  natsMissing === '' && !syncs()
    ? ' (skipped: nats-server is older than 2.10; NATS_SERVER names another)'
    : natsMissing

export interface NatsServers extends AsyncDisposable {
  readonly urls: readonly string[]
  /** As a power cut ends it. */
  kill(n: number): Promise<void>
  /** `isEmpty`: what it had on disk is lost. */
  start(n: number, change?: { readonly isEmpty: boolean }): Promise<void>
}

/** One server, or a cluster whose servers sync each write before they acknowledge it, where they can. */
export async function startNats(howMany: 1 | 3): Promise<NatsServers> {
  const folder = mkdtempSync(join(tmpdir(), 'plexus-nats-'))
  const ports = await freePorts(howMany * 2)
  const processes: (ChildProcess | undefined)[] = []
  const clientPort = (n: number): number => ports[n] ?? 0
  const routes = ports.slice(howMany).map((port) => `nats-route://127.0.0.1:${port}`)

  for (let n = 0; n < howMany; n += 1) {
    const lines = [
      'host: 127.0.0.1',
      `port: ${clientPort(n)}`,
      `server_name: n${n}`,
      'max_payload: 2MB',
      `jetstream { store_dir: "${join(folder, `${n}`)}", max_file_store: 1TB${syncs() ? ', sync_interval: always' : ''} }`,
    ]
    if (howMany > 1)
      lines.push(
        `cluster { name: test, listen: "127.0.0.1:${ports[howMany + n]}", routes: [${routes.map((route) => `"${route}"`).join(', ')}] }`,
      )
    writeFileSync(join(folder, `${n}.conf`), lines.join('\n'))
  }

  async function start(n: number, { isEmpty } = { isEmpty: false }): Promise<void> {
    if (isEmpty) rmSync(join(folder, `${n}`), { recursive: true })
    const child = spawn(found?.program ?? '', ['-c', join(folder, `${n}.conf`)], { stdio: 'ignore' })
    processes[n] = child
    while (child.exitCode === null && !(await answers(clientPort(n))))
      await new Promise((resolve) => setTimeout(resolve, 20))
    if (child.exitCode !== null) throw new Error('nats-server ended')
  }

  async function kill(n: number): Promise<void> {
    const child = processes[n]
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }

  await Promise.all(Array.from({ length: howMany }, (_, n) => start(n)))
  return {
    urls: Array.from({ length: howMany }, (_, n) => `nats://127.0.0.1:${clientPort(n)}`),
    kill,
    start,
    async [Symbol.asyncDispose]() {
      for (let n = 0; n < howMany; n += 1) await kill(n)
      rmSync(folder, { recursive: true })
    },
  }
}

/** From 2.10 on. */
function syncs(): boolean {
  const [major = 0, minor = 0] = (found?.version ?? '').split('.').map(Number)
  return major > 2 || (major === 2 && minor >= 10)
}

let tried = 0

/** Below those that systems give out by themselves, or another might have one before a server comes back to it. */
async function freePorts(howMany: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < howMany) {
    const port = 10_000 + ((process.pid * 64 + (tried += 1)) % 10_000)
    if (!(await answers(port))) ports.push(port)
  }
  return ports
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
