/** Where other servers connect to a headless node over HTTPS. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { watchTls } from '../../packages/daemon/src/tls-files.ts'
import { askHttps, startDnsNode, type DnsNode } from '../kit/dns-node.ts'
import { testSigner } from '../kit/keys.ts'
import { startNodeApp } from '../kit/node-app.ts'
import { createTestCa, type TestCa } from '../kit/test-ca.ts'

const VERSION = '/_matrix/federation/v1/version'
const PROFILE = '/_matrix/federation/v1/query/profile?user_id=%40a%3Aexample.org'
const MAX_BODY = 12 * 1024 * 1024
/** A node may have to be built first, on a busy machine. */
const START_LIMIT_MS = 60_000

const KEY_NAME = testSigner(1).name

let folder = ''
let config = ''
let ca: TestCa
let node: DnsNode

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'plexus-federation-'))
  ca = await createTestCa()
  config = join(folder, 'config.json')
  writeFileSync(config, JSON.stringify({ logLevel: 'info' }))
  const args = ['--well-known-server', 'fed.example.org:443', '--config', config]
  node = await startDnsNode(join(folder, 'a'), ca, { args })
}, START_LIMIT_MS)
afterAll(async () => {
  await node.stop()
  rmSync(folder, { recursive: true, force: true })
})

const ask = async (
  options: Parameters<typeof askHttps>[2],
): Promise<{ status: number; errcode: unknown }> => {
  const { status, contentType, text } = await askHttps(ca, node.port, options)
  expect(contentType).toBe('application/json')
  return { status, errcode: (JSON.parse(text) as Record<string, unknown>)['errcode'] }
}
const signedAs = (origin: string, destination = node.serverName): Readonly<Record<string, string>> => ({
  Authorization: `X-Matrix origin="${origin}",destination="${destination}",key="ed25519:1",sig="${'A'.repeat(86)}"`,
})

describe('the federation server of a node', () => {
  it('has the name that it was given, and proves it', async () => {
    expect(node.serverName).toBe(`localhost:${node.port}`)
    const { status, text } = await askHttps(ca, node.port, { path: VERSION })
    expect(status).toBe(200)
    expect(JSON.parse(text)).toMatchObject({ server: { name: 'Plexus' } })
    await expect(askHttps(await createTestCa(), node.port, { path: VERSION })).rejects.toThrow()
  })

  it.each<[string, Parameters<typeof askHttps>[2], number, string]>([
    ['an unknown endpoint', { path: '/_matrix/federation/v1/unknown' }, 404, 'M_UNRECOGNIZED'],
    ['what is none of ours', { path: '/' }, 404, 'M_UNRECOGNIZED'],
    ['an unknown method', { path: VERSION, method: 'DELETE' }, 405, 'M_UNRECOGNIZED'],
    ['no signature', { path: PROFILE }, 401, 'M_UNAUTHORIZED'],
    ['a token of a client', { path: PROFILE, headers: { Authorization: 'Bearer x' } }, 401, 'M_UNAUTHORIZED'],
    [
      'half a header',
      { path: PROFILE, headers: { Authorization: 'X-Matrix origin' } },
      401,
      'M_UNAUTHORIZED',
    ],
    [
      'what is no JSON',
      { path: '/_matrix/federation/v1/send/1', method: 'PUT', body: '{' },
      400,
      'M_NOT_JSON',
    ],
    [
      'a body beyond its bound',
      {
        path: '/_matrix/federation/v1/send/1',
        method: 'PUT',
        headers: { 'Content-Length': String(MAX_BODY + 1) },
      },
      413,
      'M_TOO_LARGE',
    ],
  ])('refuses %s', async (_, options, status, errcode) => {
    expect(await ask(options)).toEqual({ status, errcode })
  })

  it.each([
    ['another destination', 'example.org', 'other.example.org'],
    ['its own name as the origin', 'self', undefined],
  ])('refuses %s', async (_, origin, destination) => {
    const headers = signedAs(origin === 'self' ? node.serverName : origin, destination)
    expect(await ask({ path: PROFILE, headers })).toEqual({ status: 401, errcode: 'M_UNAUTHORIZED' })
  })

  it.each([
    ['a server whose name is its key', KEY_NAME],
    ['a server that is not there', 'localhost:1'],
    ['a server without an address', 'nowhere.invalid'],
  ])('refuses what %s did not sign', async (_, origin) => {
    expect(await ask({ path: PROFILE, headers: signedAs(origin) })).toEqual({
      status: 401,
      errcode: 'M_UNAUTHORIZED',
    })
  })

  it('answers where clients connect too, for a proxy that leads both there', async () => {
    const at = (path: string): URL => new URL(path.slice(1), node.clientApi)
    expect(await (await fetch(at(VERSION))).json()).toMatchObject({ server: { name: 'Plexus' } })
    const { status } = await fetch(at('/_matrix/key/v2/query'), { method: 'PUT' })
    expect([status, (await fetch(at(PROFILE))).status]).toEqual([405, 401])
    expect((await fetch(at('/_matrix/federation/unknown'))).status).toBe(404)
    expect((await fetch(at('/_matrix/client/versions'))).status).toBe(200)
  })

  it('takes JSON that is announced and not there', async () => {
    const headers = { 'Content-Type': 'application/json' }
    const { status } = await askHttps(ca, node.port, { path: VERSION, headers })
    expect(status).toBe(200)
  })

  it('tells where it is, and counts who asks', async () => {
    const wellKnown = await fetch(new URL('.well-known/matrix/server', node.clientApi))
    expect(await wellKnown.json()).toEqual({ 'm.server': 'fed.example.org:443' })
    const metrics = await (await fetch(new URL('metrics', node.admin))).text()
    expect(metrics).toMatch(/^plexus_federation_requests_total\{carrier="https",status="404"\} \d+$/m)
  })

  it('reads its certificate and what to log anew at SIGHUP, and goes on', async () => {
    writeFileSync(config, '{')
    process.kill(node.pid, 'SIGHUP')
    await expect.poll(() => node.output()).toContain('the configuration could not be read anew')
    writeFileSync(config, JSON.stringify({ logLevel: 'debug' }))
    process.kill(node.pid, 'SIGHUP')
    await expect.poll(() => node.output()).toMatch(/"logLevel":"debug".*the configuration was read anew/)
    expect(node.output()).toContain('the certificate was read anew')
    expect((await askHttps(ca, node.port, { path: VERSION })).status).toBe(200)
  })

  it.each<[string, readonly string[], RegExp]>([
    ['a certificate without its key', ['--tls-cert', 'x'], /--tls-cert needs --tls-key/],
    ['a certificate for nothing', ['--tls-cert', 'x', '--tls-key', 'y'], /need --federation/],
    ['a name that is in no DNS', ['--federation', '127.0.0.1:0'], /--federation needs a name/],
    [
      'a certificate that is not there',
      '--server-name a.example --federation 127.0.0.1:0 --tls-cert x --tls-key y'.split(' '),
      /--tls-cert x cannot be read \(ENOENT\)/,
    ],
    ['an authority that is not there', ['--server-name', 'a.example', '--ca', 'x'], /--ca x cannot be read/],
  ])('does not start with %s, and says why', async (name, args, why) => {
    await expect(startNodeApp(join(folder, `wrong ${name}`), args)).rejects.toThrow(why)
  })
})

describe('watchTls', () => {
  it('takes a renewed certificate, and keeps the old one while the files do not fit', async () => {
    const paths = await ca.write(folder, ['localhost'])
    const first = await ca.issue(['localhost'])
    const server: Server = createServer(first, (_incoming, outgoing) => outgoing.end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const said: string[] = []
    let heard: (() => void) | undefined
    const until = (text: string): Promise<void> =>
      new Promise((resolve) => {
        heard = () => (said.includes(text) ? resolve() : undefined)
        heard()
      })
    const note = (_level: string, message: string): void => {
      said.push(message)
      heard?.()
    }
    using _watch = watchTls(
      { cert: paths.cert, key: paths.key },
      { log: { log: note }, changed: (tls) => server.setSecureContext(tls), everyMs: 10 },
    )
    try {
      const other = await createTestCa()
      const renewed = await other.issue(['localhost'])
      writeFileSync(paths.cert, renewed.cert)
      await until('the certificate could not be read anew')
      expect((await askHttps(ca, port, { path: '/' })).status).toBe(200)
      writeFileSync(paths.key, renewed.key)
      await until('the certificate was read anew')
      expect((await askHttps(other, port, { path: '/' })).status).toBe(200)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })
})
