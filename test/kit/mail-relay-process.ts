import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { MailboxAddress } from '@plexus/core/names'

const FIXTURE = fileURLToPath(new URL('mail-relay-process.fixture.ts', import.meta.url))

/** A relay with mailboxes in a process of its own, without the web app. Disposing of it kills it. */
export interface MailRelayProcess extends AsyncDisposable {
  readonly pid: number
  readonly address: MailboxAddress
  /** Resolves when it is gone, with the fatal signal. */
  kill(): Promise<NodeJS.Signals | null>
}

export async function startMailRelay(folder: string): Promise<MailRelayProcess> {
  const child: ChildProcess = spawn(process.execPath, [FIXTURE, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const said = child.stdout === null ? Promise.reject(new Error('no output')) : once(child.stdout, 'data')
  const first = await Promise.race([said, ended.then(() => undefined)])
  if (first === undefined) throw new Error('the relay did not start')
  const multiaddr = String(first[0]).trim()
  const kill = async (): Promise<NodeJS.Signals | null> => {
    child.kill('SIGKILL')
    return (await ended)[1]
  }
  return {
    pid: child.pid ?? 0,
    address: { peerId: multiaddr.slice(multiaddr.lastIndexOf('/') + 1), multiaddrs: [multiaddr] },
    kill,
    async [Symbol.asyncDispose]() {
      await kill()
    },
  }
}
