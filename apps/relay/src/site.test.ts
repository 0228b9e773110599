import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, listen, type WebServer } from '@plexus/daemon'
import { createSite, type NetworkConfig } from './site.ts'
import { readSnapshot } from './snapshot.ts'

const SCRIPT = `console.log('${'x'.repeat(3000)}')`

let scratch = ''
let web: WebServer
let port = 0

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'plexus-site-'))
  const dist = join(scratch, 'dist')
  mkdirSync(join(dist, 'assets'), { recursive: true })
  writeFileSync(join(scratch, 'secret.txt'), 'outside')
  writeFileSync(join(dist, '.stamp'), 'inside, but hidden')
  writeFileSync(join(dist, 'index.html'), '<!doctype html>')
  writeFileSync(join(dist, 'sw.js'), '// worker')
  writeFileSync(join(dist, 'assets', 'app-AbCd_123.js'), SCRIPT)
  writeFileSync(join(dist, 'assets', 'app-AbCd_123.css'), 'body {}')
  writeFileSync(join(dist, 'assets', 'app-AbCd_123.js.br'), brotliCompressSync(SCRIPT))
  writeFileSync(join(dist, 'assets', 'app-AbCd_123.js.gz'), gzipSync(SCRIPT))
  const network = (reachedAt: string): NetworkConfig => ({ relays: [reachedAt], iceServers: [] })
  const site = createSite({ assets: readSnapshot(dist), network, redirectLocalhost: true })
  web = createServer(site)
  port = await listen(web.server, {
    host: '127.0.0.1',
    port: 0,
    flags: { host: '--host', port: '--port' },
  })
  // What is served was read at the start.
  rmSync(dist, { recursive: true })
})

afterAll(async () => {
  await web[Symbol.asyncDispose]()
  rmSync(scratch, { recursive: true })
})

type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string }

/** A request with a path that is sent as it stands: `fetch` would tidy it. */
function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, path, method, headers }, (response) => {
      text(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        reject,
      )
    })
    request.on('error', reject).end()
  })
}

/** The first line of the answer to bytes that no HTTP library would send. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes))
    text(socket).then((answer) => resolve(answer.split('\r\n', 1)[0] ?? ''), reject)
  })
}

describe('the site', () => {
  it('serves the app, never from a cache that did not ask', async () => {
    for (const path of ['/', '/index.html', '/?x=1', '/sw.js']) {
      const { status, headers } = await ask(path)
      expect([path, status, headers['cache-control']]).toEqual([path, 200, 'no-cache'])
    }
    expect((await ask('/')).headers['content-type']).toBe('text/html; charset=utf-8')
  })

  it('lets files that are named by their content be kept', async () => {
    const { headers } = await ask('/assets/app-AbCd_123.js')
    expect(headers['cache-control']).toBe('public, max-age=31536000, immutable')
    expect(headers['content-type']).toBe('text/javascript; charset=utf-8')
  })

  it.each([
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip', 'gzip'],
    ['br;q=0, gzip', 'gzip'],
    ['identity', undefined],
    ['', undefined],
  ])('sends what `Accept-Encoding: %s` asks for', async (accept, encoding) => {
    const { headers } = await ask('/assets/app-AbCd_123.js', { 'Accept-Encoding': accept })
    expect(headers['content-encoding']).toBe(encoding)
    expect(headers['vary']).toBe('Accept-Encoding')
    const response = await fetch(`http://127.0.0.1:${port}/assets/app-AbCd_123.js`, {
      headers: { 'accept-encoding': accept },
    })
    expect(await response.text()).toBe(SCRIPT)
  })

  it('answers 304 to who has it', async () => {
    const { headers } = await ask('/')
    const again = await ask('/', { 'If-None-Match': `"other", ${headers.etag ?? ''}` })
    expect([again.status, again.body, again.headers['cache-control']]).toEqual([304, '', 'no-cache'])
    expect((await ask('/', { 'If-None-Match': '"other"' })).status).toBe(200)
  })

  it('has the security headers on every answer', async () => {
    const answers = [
      await ask('/'),
      await ask('/none'),
      await ask('/', {}, 'PUT'),
      await ask('/', { Host: 'localhost' }),
      await ask('/sw.js'),
      await ask('/assets/app-AbCd_123.js'),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 404, 405, 307, 200, 200])
    for (const { headers } of answers) {
      const policy = String(headers['content-security-policy'])
      expect(policy).toContain("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';")
      expect(policy).toContain("require-trusted-types-for 'script'")
      expect(policy).not.toMatch(/unsafe-inline|'unsafe-eval'|\*/)
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
      })
    }
  })

  it('leaves the policy off where nothing runs, and nothing else', async () => {
    const { status, headers } = await ask('/assets/app-AbCd_123.css')
    expect(status).toBe(200)
    expect(headers).not.toHaveProperty('content-security-policy')
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
    })
  })

  it.each([
    ['localhost', '/a?b', 'http://127.0.0.1/a?b'],
    ['LOCALHOST:8008', '/', 'http://127.0.0.1:8008/'],
    ['localhost:8008', '//evil.example/', 'http://127.0.0.1:8008//evil.example/'],
  ])('sends Host %s with %s to 127.0.0.1', async (host, path, location) => {
    const { status, headers } = await ask(path, { Host: host })
    expect([status, headers.location]).toEqual([307, location])
  })

  it.each(['127.0.0.1', 'localhost.example', 'xlocalhost', 'localhost:999999', 'localhost:1@evil'])(
    'does not redirect Host %s',
    async (host) => {
      expect((await ask('/', { Host: host })).status).toBe(200)
    },
  )

  it('tells where to meet others', async () => {
    const { status, headers, body } = await ask('/plexus.json')
    expect([status, headers['cache-control'], headers['content-type']]).toEqual([
      200,
      'no-store',
      'application/json',
    ])
    expect(JSON.parse(body)).toEqual({ relays: [`http://127.0.0.1:${port}/`], iceServers: [] })
  })

  it.each([
    ['relay.example.org:8443', 'http://relay.example.org:8443/'],
    ['[::1]:8008', 'http://[::1]:8008/'],
    ['a/b', undefined],
    ['a@b', undefined],
    ['a?b', undefined],
    ['a b', undefined],
    ['', undefined],
  ])('meets others where Host %s reached it', async (host, url) => {
    const { body } = await ask('/plexus.json', { Host: host })
    expect(JSON.parse(body)).toMatchObject({ relays: [url ?? `http://127.0.0.1:${port}/`] })
  })

  it('says that it is well', async () => {
    expect(await ask('/healthz')).toMatchObject({ status: 200, body: 'ok\n' })
  })

  it('answers HEAD without a body', async () => {
    expect(await ask('/', {}, 'HEAD')).toMatchObject({
      status: 200,
      body: '',
      headers: { 'content-length': '15' },
    })
  })

  it.each([
    '/../secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e/secret.txt',
    '/..\\secret.txt',
    '/assets/../../secret.txt',
    '//secret.txt',
    '/.stamp',
    '/%',
    '/%00',
    '/assets',
    '/assets/',
    '/index.html/',
    '/assets/app-AbCd_123.js.br',
    '/__proto__',
    `/${'a'.repeat(8000)}`,
  ])('does not find %s', async (path) => {
    expect(await ask(path)).toMatchObject({ status: 404, body: 'not found\n' })
  })

  it('ignores ranges, which no part of the app asks for', async () => {
    expect(await ask('/', { Range: 'bytes=5-2' })).toMatchObject({ status: 200, body: '<!doctype html>' })
  })

  it.each([
    ['GET http://evil.example/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1.1 400/],
    ['GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1.1 400/],
    ['nonsense\r\n\r\n', /^HTTP\/1.1 400/],
    [`GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1.1 431/],
    [
      'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      /^HTTP\/1.1 400/,
    ],
  ])('refuses %j', async (bytes, status) => {
    expect(await raw(bytes)).toMatch(status)
  })
})
