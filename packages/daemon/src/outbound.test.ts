import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createOutbound, type OutboundRequest, type OutboundResponse } from './outbound.ts'

const BOUNDS = { maxBytes: 1_000, timeoutMs: 5_000 } satisfies OutboundRequest
const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
  })
}

const open = createOutbound({ allowPrivateAddresses: true })
const closed = createOutbound({ allowPrivateAddresses: false })

const text = ({ bytes }: OutboundResponse): string => new TextDecoder().decode(bytes)

describe('outbound', () => {
  it('asks and posts', async () => {
    const base = await serve((request, response) => {
      void request.toArray().then((parts) => {
        response.writeHead(201, { 'Content-Type': 'text/plain' })
        response.end(`${request.method} ${request.url} ${String(request.headers['x-a'])} ${parts.join('')}`)
      })
    })
    const got = await open.request(`${base}/a?b=c`, { ...BOUNDS, headers: { 'X-A': '1' } })
    expect([got.status, got.headers['content-type'], text(got)]).toEqual([201, 'text/plain', 'GET /a?b=c 1 '])
    const posted = await open.request(base, {
      ...BOUNDS,
      method: 'POST',
      headers: { 'X-A': '2' },
      body: 'hé',
    })
    expect(text(posted)).toBe('POST / 2 hé')
  })

  it('asks by HTTPS alone where told so', async () => {
    let asked = false
    const base = await serve((_request, response) => {
      asked = true
      response.end()
    })
    await expect(open.request(base, { ...BOUNDS, httpsOnly: true })).rejects.toMatchObject({
      code: 'refused',
    })
    expect(asked).toBe(false)
  })

  it.each(['', 'localhost', '2130706433', '0x7f.1', '[::1]', '[::ffff:127.0.0.1]'])(
    'does not reach the machine that it runs on by "%s"',
    async (name) => {
      let asked = false
      const base = await serve((_request, response) => {
        asked = true
        response.end()
      })
      const url = name === '' ? base : base.replace('127.0.0.1', name)
      await expect(closed.request(url, BOUNDS)).rejects.toMatchObject({
        code: expect.stringMatching(/refused|unreachable/),
      })
      expect(asked).toBe(false)
    },
  )

  it('names a refusal of an address and of a name', async () => {
    await expect(closed.request('http://127.0.0.1:1/', BOUNDS)).rejects.toMatchObject({ code: 'refused' })
    await expect(closed.request('http://localhost:1/', BOUNDS)).rejects.toMatchObject({ code: 'refused' })
  })

  it.each(['file:///etc/passwd', 'ftp://example.org/', 'http://a:b@example.org/', 'nonsense'])(
    'refuses %s',
    async (url) => {
      await expect(open.request(url, BOUNDS)).rejects.toMatchObject({ code: 'refused' })
    },
  )

  it('follows redirects up to the bound, and checks each address on the way', async () => {
    const base = await serve((request, response) => {
      const left = Number(request.url?.slice(1))
      if (left > 0) response.writeHead(302, { Location: left === 9 ? 'file:///etc/passwd' : `/${left - 1}` })
      response.end('here')
    })
    const bounds = { ...BOUNDS, maxRedirects: 3 }
    const got = await open.request(`${base}/3`, bounds)
    expect([text(got), got.url.href]).toEqual(['here', `${base}/0`])
    await expect(open.request(`${base}/4`, bounds)).rejects.toMatchObject({ code: 'too-many-redirects' })
    await expect(open.request(`${base}/9`, bounds)).rejects.toMatchObject({ code: 'refused' })
    expect((await open.request(`${base}/1`, BOUNDS)).status).toBe(302)
    expect((await open.request(`${base}/1`, { ...bounds, method: 'POST' })).status).toBe(302)
  })

  it('takes no more than the bound, announced or not', async () => {
    const base = await serve((request, response) => {
      const size = Number(request.url?.slice(2))
      if (request.url?.startsWith('/a') === true) response.setHeader('Content-Length', size)
      response.write('x'.repeat(size))
      response.end()
    })
    for (const way of ['a', 'b']) {
      expect((await open.request(`${base}/${way}1000`, BOUNDS)).bytes).toHaveLength(1_000)
      await expect(open.request(`${base}/${way}1001`, BOUNDS)).rejects.toMatchObject({ code: 'too-large' })
    }
  })

  it('gives up on a silent server, before and within the body, and when told to', async () => {
    const base = await serve((request, response) => {
      if (request.url === '/body') response.write('x')
    })
    const short = { ...BOUNDS, timeoutMs: 50 }
    await expect(open.request(base, short)).rejects.toMatchObject({ code: 'timeout' })
    await expect(open.request(`${base}/body`, short)).rejects.toMatchObject({ code: 'timeout' })
    const signal = AbortSignal.abort()
    await expect(open.request(base, { ...BOUNDS, signal })).rejects.toMatchObject({ code: 'unreachable' })
  })

  it.each([
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
    'nonsense\r\n\r\n',
    '',
  ])('ends where the answer is %j and no more', async (answer) => {
    const server: TcpServer = createTcpServer((socket) => {
      socket.on('error', () => undefined)
      socket.end(answer)
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const { port } = server.address() as AddressInfo
    const asked = open.request(`http://127.0.0.1:${port}/`, { ...BOUNDS, timeoutMs: 60_000 })
    await expect(asked).rejects.toMatchObject({ code: 'unreachable' })
    server.close()
  })

  it('says when nobody is there', async () => {
    const base = await serve((request) => void request.socket.destroy())
    await expect(open.request(base, BOUNDS)).rejects.toMatchObject({ code: 'unreachable' })
  })
})
