import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:https'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect as tlsConnect } from 'node:tls'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type RelayApp, startRelayApp } from './app.ts'
import { readFlags } from './flags.ts'
import { makeCertificate, startAuthority } from './testing/authority.ts'

let scratch = ''
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'plexus-relay-'))
  mkdirSync(join(scratch, 'dist'))
  writeFileSync(join(scratch, 'dist', 'index.html'), '<!doctype html>')
})
afterEach(() => rmSync(scratch, { recursive: true }))

async function start(...args: string[]): Promise<RelayApp & { readonly log: () => string }> {
  const lines: string[] = []
  const log = pino({}, { write: (line: string) => void lines.push(line) })
  const flags = readFlags(args, join(scratch, 'data'))
  if (flags === undefined) throw new Error('asked for help')
  const app = await startRelayApp({ log, build: async () => join(scratch, 'dist') }, flags)
  return {
    address: app.address,
    adminPort: app.adminPort,
    log: () => lines.join(''),
    reload: () => app.reload(),
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  }
}

async function writeCertificate(certFile: string, keyFile: string): Promise<string> {
  const { cert, key } = await makeCertificate('relay.example.org')
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key)
  return cert
}

/** Whether who trusts a certificate or what it signed trusts the server. */
function isTrusted(address: string, ca: string): Promise<boolean> {
  const port = Number(new URL(address).port)
  return new Promise((resolve) => {
    const socket = tlsConnect({ host: '127.0.0.1', port, servername: 'relay.example.org', ca }, () => {
      resolve(true)
      socket.destroy()
    })
    socket.once('error', () => resolve(false))
  })
}

async function networkAt(address: string): Promise<{ readonly relays: readonly string[] }> {
  const response = await fetch(`${address}plexus.json`)
  return (await response.json()) as { relays: string[] }
}

describe('the relay app', () => {
  it('serves at the address that it gives, until it is stopped', async () => {
    const app = await start('--port', '0')
    expect(app.address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/)
    expect(await (await fetch(app.address)).text()).toBe('<!doctype html>')
    await app[Symbol.asyncDispose]()
    await expect(fetch(app.address)).rejects.toThrow('fetch failed')
  })

  it('tells its operator how it is, and keeps mail', async () => {
    const page = async (port: number | undefined, path: string): Promise<string> =>
      (await fetch(`http://127.0.0.1:${port}${path}`)).text()
    await using app = await start('--port', '0', '--admin', '127.0.0.1:0')
    expect(await page(app.adminPort, '/ready')).toBe('ok\n')
    expect(await page(app.adminPort, '/metrics')).toMatch(/^plexus_mail_boxes 0$/m)
    expect(await page(app.adminPort, '/')).toContain('<h2>Nodes that mail is kept for</h2><p>0</p>')
    expect(existsSync(join(scratch, 'data', 'mail.sqlite'))).toBe(true)
  })

  it('knows a mailbox database that was put in its place from a backup', async () => {
    const path = join(scratch, 'data', 'mail.sqlite')
    const live = async (): Promise<string> => {
      await using app = await start('--port', '0')
      return app.log()
    }
    await live()
    copyFileSync(path, `${path}.backup`)
    expect(await live()).not.toContain('the mail is a copy')
    copyFileSync(`${path}.backup`, path)
    expect(await live()).toContain('the mail is a copy')
  })

  it('keeps no mail where it is told so', async () => {
    await using app = await start('--port', '0', '--mail', 'off')
    expect(app.adminPort).toBeUndefined()
    expect(existsSync(join(scratch, 'data', 'mail.sqlite'))).toBe(false)
  })

  it('does not start with a token that anybody guesses, or mail that is none', async () => {
    const token = join(scratch, 'token')
    writeFileSync(token, 'short\n')
    const flags = ['--mail-registration', 'token', '--mail-registration-file', token]
    await expect(start('--port', '0', ...flags)).rejects.toThrow(/a token has 16 to 256 characters/)
    writeFileSync(join(scratch, 'data', 'mail.sqlite'), 'x'.repeat(5_000))
    await expect(start('--port', '0')).rejects.toThrow(/mail\.sqlite cannot be opened: restore it/)
  })

  it('tells nodes where each reaches it', async () => {
    await using app = await start('--port', '0')
    const { relays } = await networkAt(app.address)
    const { port } = new URL(app.address)
    expect(relays[0]).toMatch(new RegExp(`^/ip4/127\\.0\\.0\\.1/tcp/${port}/ws/p2p/12D3Koo\\w+$`))
    expect(relays[1]).toMatch(
      new RegExp(`^/ip4/127\\.0\\.0\\.1/udp/${port}/webrtc-direct/certhash/u[\\w-]+/p2p/12D3Koo`),
    )
  })

  it.each(['relay.key', 'webrtc.pem'])(
    'refuses a damaged %s, keeps it, and shows none of it',
    async (name) => {
      const app = await start('--port', '0')
      await app[Symbol.asyncDispose]()
      const file = join(scratch, 'data', name)
      writeFileSync(file, 'VerySecretBytes')
      await expect(start()).rejects.toThrow(/^relay\.key or webrtc\.pem in .* is damaged: restore both/)
      await expect(start()).rejects.not.toThrow(/VerySecret/)
      expect(readFileSync(file, 'utf8')).toBe('VerySecretBytes')
    },
  )

  it.each(['//', '/x', '/%', '/?x', '*', 'http://evil.example/', '/\\'])(
    'survives a WebSocket request for %s',
    async (path) => {
      await using app = await start('--port', '0')
      const { port } = new URL(app.address)
      const socket = connect(Number(port), '127.0.0.1')
      const head = [
        'Host: x',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: x',
      ]
      socket.end(`GET ${path} HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n`)
      expect(await text(socket)).toMatch(/^HTTP\/1\.1 40\d /)
      expect((await fetch(`${app.address}healthz`)).status).toBe(200)
    },
  )

  it('stops though somebody holds a WebSocket and says nothing', async () => {
    const app = await start('--port', '0')
    const socket = new WebSocket(app.address.replace('http', 'ws'))
    await new Promise((resolve) => socket.addEventListener('open', resolve))
    const closed = new Promise((resolve) => socket.addEventListener('close', resolve))
    await app[Symbol.asyncDispose]()
    await closed
  })

  it('cuts off a WebSocket message that is too long', async () => {
    await using app = await start('--port', '0')
    const socket = new WebSocket(app.address.replace('http', 'ws'))
    await new Promise((resolve) => socket.addEventListener('open', resolve))
    const code = new Promise((resolve) => socket.addEventListener('close', (event) => resolve(event.code)))
    socket.send(new Uint8Array(1024 * 1024 + 1))
    // https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 "too big for it to process"
    expect(await code).toBe(1009)
    expect((await fetch(`${app.address}healthz`)).status).toBe(200)
  })

  it.each([
    ['text', [0x81, 0x80, 0, 0, 0, 0]],
    ['a reserved opcode', [0x83, 0x80, 0, 0, 0, 0]],
    ['no mask', [0x82, 0x01, 0]],
    ['a reserved bit', [0xf2, 0x80, 0, 0, 0, 0]],
    ['a length beyond any number', [0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]],
    ['a close frame that is none', [0x88, 0x81, 0, 0, 0, 0, 0]],
    ['bytes that are no libp2p', [0x82, 0x83, 0, 0, 0, 0, 255, 255, 255]],
  ])('survives a WebSocket frame with %s', async (_what, frame) => {
    await using app = await start('--port', '0')
    const socket = connect(Number(new URL(app.address).port), '127.0.0.1')
    const head = ['Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
    socket.write(`GET / HTTP/1.1\r\n${[...head, key].join('\r\n')}\r\n\r\n`)
    socket.end(Uint8Array.from(frame))
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 101 /)
    expect((await fetch(`${app.address}healthz`)).status).toBe(200)
  })

  it('says that another port is another origin', async () => {
    const first = await start('--port', '0')
    await first[Symbol.asyncDispose]()
    await using second = await start('--port', '0')
    const { port } = new URL(first.address)
    // The kernel may give the same port again, and then nothing has changed.
    if (second.address !== first.address) expect(second.log()).toContain(`the port was ${port} before`)
  })

  it('names the way out when the port is taken, and remembers nothing', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve))
    const address = other.address()
    const port = String(typeof address === 'object' ? address?.port : 0)
    await expect(start('--port', port)).rejects.toThrow(new RegExp(`^port ${port} is taken.*--port$`))
    await new Promise((resolve) => void other.close(resolve))
    await using app = await start('--port', '0')
    expect(app.log()).not.toContain('the port was')
  })

  it('does not run twice on one data folder', async () => {
    await using first = await start('--port', '0')
    const { port } = new URL(first.address)
    await expect(start()).rejects.toThrow(new RegExp(`^port ${port} is taken: a relay already runs.*--port`))
    await expect(start('--port', '0')).rejects.toThrow(/^a relay already runs on the data folder/)
  })

  it('says which file of the data folder is damaged', async () => {
    mkdirSync(join(scratch, 'data'))
    writeFileSync(join(scratch, 'data', 'lock'), 'x'.repeat(5000))
    await expect(start('--port', '0')).rejects.toThrow(/^the file lock in .* is damaged: delete it$/)
  })

  it('names the flag for an address of another machine', async () => {
    await expect(start('--port', '0', '--host', '192.0.2.1')).rejects.toThrow(/192\.0\.2\.1 .*--host$/)
  })

  it('says that others need HTTPS', async () => {
    await using app = await start('--port', '0', '--host', '0.0.0.0')
    expect(app.address).toMatch(/^http:\/\/127\.0\.0\.1:/)
    expect(app.log()).toContain('need HTTPS')
  })

  it('gives the public address when it has one', async () => {
    await using app = await start('--port', '0', '--public-url', 'https://relay.example.org')
    expect(app.address).toBe('https://relay.example.org/')
    expect(app.log()).toContain('https://relay.example.org/')
  })

  it('tells the app of the relays that it knows, as far as a page can dial them', async () => {
    const [one, two] = ['/dns4/one.example/tcp/443/tls/ws', '/ip4/192.0.2.1/tcp/4001'].map(
      (where) => `${where}/p2p/12D3KooWGtwVfx44AV81ifyycKUBHyMxgKCqGs3iEm5rGFT4QxbU`,
    ) as [string, string]
    await using app = await start('--port', '0', '--peer', one, '--peer', two)
    const { relays } = (await (await fetch(`${app.address}plexus.json`)).json()) as { relays: string[] }
    expect(relays.filter((each) => each === one || each === two)).toEqual([one])
  })

  it('speaks HTTPS with a certificate, and leaves its name to it', async () => {
    const [cert, key] = [join(scratch, 'cert.pem'), join(scratch, 'key.pem')]
    await writeCertificate(cert, key)
    await using app = await start('--port', '0', '--tls-cert', cert, '--tls-key', key)
    expect(app.address).toMatch(/^https:\/\/127\.0\.0\.1:/)
    const status = await new Promise((resolve, reject) => {
      const options = { rejectUnauthorized: false, headers: { host: 'localhost' } }
      request(app.address, options, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end()
    })
    expect(status).toBe(200)
  })

  it('takes another certificate while it runs', async () => {
    const [cert, key] = [join(scratch, 'cert.pem'), join(scratch, 'key.pem')]
    const before = await writeCertificate(cert, key)
    await using app = await start('--port', '0', '--tls-cert', cert, '--tls-key', key)
    expect(await isTrusted(app.address, before)).toBe(true)
    const after = await writeCertificate(cert, key)
    app.reload()
    expect(await isTrusted(app.address, after)).toBe(true)
    expect(await isTrusted(app.address, before)).toBe(false)
  })

  it('asks an authority for its certificate, and says its name', async () => {
    await using authority = await startAuthority(join(scratch, 'ca.pem'))
    const place = ['--acme-directory', authority.directory, '--acme-ca', join(scratch, 'ca.pem')]
    await using app = await start('--port', '0', '--acme', 'relay.example.org', ...place)
    expect(app.address).toMatch(/^https:\/\/relay\.example\.org:\d+\/$/)
    authority.port = Number(new URL(app.address).port)
    await expect.poll(() => isTrusted(app.address, authority.ca)).toBe(true)
  })

  it('names the file of a certificate that is not one, and shows none of it', async () => {
    const [cert, key] = [join(scratch, 'cert.pem'), join(scratch, 'key.pem')]
    await expect(start('--tls-cert', cert, '--tls-key', key)).rejects.toThrow(
      `--tls-cert ${cert} cannot be read (ENOENT)`,
    )
    writeFileSync(cert, 'not PEM')
    writeFileSync(key, 'very private')
    await expect(start('--tls-cert', cert, '--tls-key', key)).rejects.toThrow(
      /^--tls-cert .* do not work together/,
    )
    await expect(start('--tls-cert', cert, '--tls-key', key)).rejects.not.toThrow(/very private/)
  })

  it('refuses a folder without an app', async () => {
    rmSync(join(scratch, 'dist', 'index.html'))
    await expect(start('--port', '0')).rejects.toThrow(/there is no web app/)
  })
})
