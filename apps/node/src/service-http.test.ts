import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { serviceHttp } from './service-http.ts'

let close: (() => void) | undefined
afterEach(() => close?.())

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  close = () => {
    server.closeAllConnections()
    server.close()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const get = (url: string, bounds: { timeoutMs?: number; maxBytes?: number } = {}) =>
  serviceHttp.send({ method: 'GET', url, token: 'secret', timeoutMs: 10_000, maxBytes: 100, ...bounds })

describe('requests to application services', () => {
  it('carry the token, and give the answer whatever its status', async () => {
    const url = await serve((request, response) => {
      response.statusCode = 403
      response.end(request.headers.authorization)
    })
    expect(await get(url)).toEqual({ status: 403, body: 'Bearer secret' })
  })

  it('follow no redirect', async () => {
    const url = await serve((_, response) => response.writeHead(302, { Location: '/elsewhere' }).end())
    expect((await get(url)).status).toBe(302)
  })

  it('bound the answer, and the time until all of it is here', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/large') response.end('x'.repeat(101))
      else response.write('x')
    })
    await expect(get(`${url}/large`)).rejects.toMatchObject({ name: 'CarrierError', code: 'refused' })
    await expect(get(url, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'timeout' })
  })

  it('say when nobody is there', async () => {
    const url = await serve((request) => request.socket.destroy())
    await expect(get(url)).rejects.toMatchObject({ name: 'CarrierError', code: 'unreachable' })
  })
})
