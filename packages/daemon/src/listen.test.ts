import { connect, type AddressInfo, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createServer } from './listen.ts'

const HEAD = 'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n'

describe('createServer', () => {
  it.each([
    ['half a head', HEAD],
    ['half a body', `${HEAD}\r\nabc`],
  ])('cuts off who sends %s and no more', async (_, text) => {
    await using web = createServer((incoming) => void incoming.resume(), { requestTimeoutMs: 200 })
    await new Promise<void>((resolve) => {
      web.server.listen(0, '127.0.0.1', resolve)
    })
    const { port } = web.server.address() as AddressInfo
    const socket: Socket = connect(port, '127.0.0.1')
    socket.write(text)
    const answer = Buffer.concat((await socket.toArray()) as Buffer[]).toString()
    expect(answer).toContain('HTTP/1.1 408 ')
  })
})
