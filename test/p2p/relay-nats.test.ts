/** Relay processes that keep their mail in one NATS cluster. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startRelayApp, type RelayApp } from '../../apps/relay/src/app.ts'
import { readFlags } from '../../apps/relay/src/flags.ts'
import { natsMissing, startNats } from '../../packages/relay/src/testing/nats.ts'

let scratch = ''
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'plexus-relays-'))
  mkdirSync(join(scratch, 'dist'))
  writeFileSync(join(scratch, 'dist', 'index.html'), '<!doctype html>')
})
afterEach(() => rmSync(scratch, { recursive: true }))

async function start(name: string, nats: string): Promise<RelayApp> {
  const args = ['--port', '0', '--admin', '127.0.0.1:0', '--mail-nats', nats]
  const flags = readFlags(args, join(scratch, name))
  if (flags === undefined) throw new Error('asked for help')
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined, debug: () => undefined }
  return startRelayApp({ log: log as never, build: async () => join(scratch, 'dist') }, flags)
}

const ready = async ({ adminPort }: RelayApp): Promise<string> =>
  (await fetch(`http://127.0.0.1:${adminPort}/ready`)).text()

describe.skipIf(natsMissing !== '')(`relays with a NATS cluster${natsMissing}`, () => {
  it('have no mail of their own, and say when they cannot take any', async () => {
    await using servers = await startNats(1)
    const [url = ''] = servers.urls
    await using one = await start('one', url)
    await using two = await start('two', url)
    for (const app of [one, two]) expect(await ready(app)).toBe('ok\n')
    expect(existsSync(join(scratch, 'one', 'mail.sqlite'))).toBe(false)
    await servers.kill(0)
    await expect.poll(() => ready(one)).toBe('no NATS server can be reached\n')
    await expect(start('three', url)).rejects.toThrow(/^--mail-nats: no NATS server of nats:\S+ can be used/)
  })
})
