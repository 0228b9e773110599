import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { watchOutput } from '../kit/process.ts'
import { startRelay } from '../kit/relay-process.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

let data = ''
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'plexus-e2e-'))
})
afterEach(() => rmSync(data, { recursive: true }))

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Ends with the message of a relay that did not start. */
const failure = async (...args: string[]): Promise<string> => {
  const started = startRelay({ data, port: null, args })
  return started.then(
    () => 'started',
    (error: Error) => error.message,
  )
}

describe('the relay process', () => {
  it('serves the app and stops cleanly at SIGTERM', async () => {
    await using relay = await startRelay({ data })
    const page = await fetch(relay.address)
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(await page.text()).toContain('<!doctype html>')
    expect(await relay.stop('SIGTERM')).toBe(0)
    await expect(fetch(relay.address)).rejects.toThrow('fetch failed')
  })

  it('stops cleanly at SIGINT, also when it comes twice', async () => {
    await using relay = await startRelay({ data })
    process.kill(relay.pid, 'SIGINT')
    expect(await relay.stop('SIGINT')).toBe(0)
  })

  it('comes back at the same address after SIGKILL, as the same relay to its nodes', async () => {
    const networkAt = async (address: string): Promise<unknown> =>
      (await fetch(`${address}plexus.json`)).json()
    await using first = await startRelay({ data })
    const network = await networkAt(first.address)
    expect(await first.stop('SIGKILL')).toBe('SIGKILL')
    await using second = await startRelay({ data, port: null })
    expect(second.address).toBe(first.address)
    expect(await networkAt(second.address)).toEqual(network)
  })

  it('keeps its files for its owner only', async () => {
    await using relay = await startRelay({ data })
    const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    )
    expect(files.map(({ name }) => name)).toContain('relay.json')
    for (const { parentPath, name } of files) {
      expect([name, statSync(join(parentPath, name)).mode & 0o077]).toEqual([name, 0])
    }
    expect(await relay.stop()).toBe(0)
  })

  it('says in one line that the port is taken', async () => {
    await using relay = await startRelay({ data })
    const { port } = new URL(relay.address)
    const other = mkdtempSync(join(tmpdir(), 'plexus-e2e-'))
    const message = await failure('--data', other, '--port', port)
    rmSync(other, { recursive: true })
    expect(message).toContain('ended with 1')
    expect(message).toMatch(new RegExp(`^plexus: port ${port} is taken.*--port$`, 'm'))
  })

  it('names a wrong flag and a damaged file, and shows no stack', async () => {
    expect(await failure('--prot', '1')).toMatch(/ended with 2:\nplexus: .*--prot.*\n$/)
    writeFileSync(join(data, 'relay.json'), '{"port":')
    expect(await failure()).toMatch(/ended with 1:\nplexus: .*relay\.json is damaged.*\n$/)
  })
})

describe('npm start', () => {
  it('passes signals on, and leaves no server behind when it is killed', async () => {
    const args = ['start', '--', '--data', data, '--port', '0']
    const exits: (number | NodeJS.Signals | null)[] = []
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const child = spawn('npm', args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
      const gone = new Promise<number | NodeJS.Signals | null>((resolve) => {
        child.once('exit', (code, by) => resolve(code ?? by))
      })
      const closed = new Promise((resolve) => child.once('close', resolve))
      const address = await watchOutput(child).match(/^Plexus is at (\S+)$/m)
      expect((await fetch(`${address}healthz`)).status).toBe(200)
      child.kill(signal)
      exits.push(await gone)
      // The pipes close when the last process that holds them has ended: the server.
      await closed
      await expect(fetch(address)).rejects.toThrow('fetch failed')
      expect(isAlive(child.pid ?? 0)).toBe(false)
    }
    expect(exits).toEqual([0, 'SIGKILL'])
  })
})
