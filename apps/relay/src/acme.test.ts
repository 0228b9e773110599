import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer, Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import type { Tls } from '@plexus/daemon'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openAcme, type AcmeCertificate } from './acme.ts'
import { startAuthority, type Authority } from './testing/authority.ts'

const NAME = 'relay.example.org'
const HOUR_MS = 3_600_000

let folder = ''
let authority: Authority
let now: number
let timers: { at: number; run: () => void }[] = []
let lines: string[] = []
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'plexus-acme-'))
  authority = await startAuthority(join(folder, 'ca.pem'))
  now = Date.now()
  timers = []
  lines = []
})
afterEach(async () => {
  await authority[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

function advance(ms: number): void {
  now += ms
  const due = timers.filter(({ at }) => at <= now)
  timers = timers.filter(({ at }) => at > now)
  for (const { run } of due) run()
}

type Held = { own: AcmeCertificate; changes: Tls[]; port: number }

/** A server with the certificate. */
async function serve(): Promise<Held & AsyncDisposable> {
  const changes: Tls[] = []
  const own = await openAcme(
    {
      clock: {
        now: () => now,
        after(ms, run) {
          const timer = { at: now + ms, run }
          timers.push(timer)
          return () => void (timers = timers.filter((each) => each !== timer))
        },
      },
      log: { log: (_level, what) => void lines.push(what) },
      folder,
      changed(tls) {
        changes.push(tls)
        if (server instanceof Server) server.setSecureContext(tls)
      },
    },
    { name: NAME, email: undefined, directory: authority.directory, caFile: join(folder, 'ca.pem') },
  )
  const server = createServer({
    ...own.tls,
    ALPNCallback(this: unknown, { protocols }) {
      return own.answer(this as Parameters<AcmeCertificate['answer']>[0], protocols)
    },
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  authority.port = port
  own.start()
  return {
    own,
    changes,
    port,
    async [Symbol.asyncDispose]() {
      own[Symbol.dispose]()
      await new Promise((resolve) => void server.close(resolve))
    },
  }
}

/** Whether who trusts the authority trusts the server. */
function isTrusted(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, servername: NAME, ca: authority.ca }, () => {
      resolve(true)
      socket.destroy()
    })
    socket.once('error', () => resolve(false))
  })
}

describe('an ACME certificate', () => {
  it('is given to who answers at the name, kept for the next start, and nobody else can read it', async () => {
    {
      await using held = await serve()
      await expect.poll(() => held.changes).toHaveLength(1)
      expect(await isTrusted(held.port)).toBe(true)
    }
    for (const file of ['acme.pem', 'acme-account.pem'])
      expect(statSync(join(folder, file)).mode & 0o077).toBe(0)
    await using again = await serve()
    expect(await isTrusted(again.port)).toBe(true)
    expect(authority.given).toBe(1)
  })

  it('is renewed when two thirds of its time are over, by the same account', async () => {
    authority.ageMs = (HOUR_MS * 3) / 4
    await using held = await serve()
    await expect.poll(() => held.changes).toHaveLength(1)
    const account = readFileSync(join(folder, 'acme-account.pem'), 'utf8')
    authority.ageMs = 0
    await expect.poll(() => timers).toHaveLength(1)
    advance(12 * HOUR_MS)
    await expect.poll(() => held.changes).toHaveLength(2)
    expect(readFileSync(join(folder, 'acme-account.pem'), 'utf8')).toBe(account)
  })

  it('serves though it cannot be kept', async () => {
    mkdirSync(join(folder, 'acme.pem'))
    await using held = await serve()
    await expect.poll(() => lines).toContain('the certificate cannot be kept')
    expect(await isTrusted(held.port)).toBe(true)
  })

  it('that is not given is asked for again, with growing pauses', async () => {
    await using held = await serve()
    authority.port = 1
    await expect.poll(() => lines).toEqual(['no certificate was given'])
    expect(await isTrusted(held.port)).toBe(false)
    const first = (timers[0]?.at ?? 0) - now
    advance(first)
    await expect.poll(() => lines).toHaveLength(2)
    expect((timers[0]?.at ?? 0) - now).toBe(2 * first)
    authority.port = held.port
    advance(2 * first)
    await expect.poll(() => held.changes).toHaveLength(1)
  })
})
