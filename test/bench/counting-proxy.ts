/** Stands before the relay and counts what it serves: no browser tells of every download of its workers. */
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

export type Download = { readonly path: string; readonly bytes: number }

export interface CountingProxy extends AsyncDisposable {
  /** With a trailing slash. */
  readonly address: string
  /** Complete answers, headers and compressed bodies; what WebSockets carry is not among them. */
  readonly downloads: readonly Download[]
}

export async function startCountingProxy(target: string): Promise<CountingProxy> {
  const { hostname, port } = new URL(target)
  const downloads: Download[] = []
  const sockets = new Set<Duplex>()

  const pass = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const { method, url = '/', headers } = incoming
    const forwarded = request({ hostname, port, method, path: url, headers }, (answer) => {
      let bytes = headerBytes(answer)
      answer.on('data', (chunk: Buffer) => (bytes += chunk.length))
      answer.on('end', () => downloads.push({ path: url, bytes }))
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    forwarded.on('error', () => outgoing.destroy())
    incoming.pipe(forwarded)
  }
  const tunnel = (incoming: IncomingMessage, client: Duplex, head: Buffer): void => {
    const relay: Socket = connect(Number(port), hostname, () => {
      const lines = incoming.rawHeaders.flatMap((name, index, all) =>
        index % 2 === 0 ? [`${name}: ${all[index + 1] ?? ''}`] : [],
      )
      relay.write(`GET ${incoming.url ?? '/'} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
      relay.write(head)
      client.pipe(relay).pipe(client)
    })
    for (const socket of [client, relay]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => [client, relay].forEach((each) => each.destroy()))
    }
  }

  const server = createServer(pass).on('upgrade', tunnel)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    downloads,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** As they stand on the wire. */
function headerBytes({ statusCode, statusMessage = '', rawHeaders }: IncomingMessage): number {
  const first = `HTTP/1.1 ${statusCode ?? 0} ${statusMessage}\r\n`.length
  const names = rawHeaders.length / 2
  // Each has a colon, a space and a line end; an empty line ends them.
  return first + rawHeaders.join('').length + names * 4 + 2
}
