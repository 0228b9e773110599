import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, normalize } from 'node:path'
import { createRelay, loadRelayIdentity } from '@plexus/relay'
import { collectingLog, realClock } from '../../kit/p2p.ts'

/** A relay that serves the built test page on the same port: `relay.ts <data folder> <page folder> <port>`. */
const [, , data = '', page = '', port = '0'] = process.argv
const TYPES: Readonly<Record<string, string>> = { html: 'text/html', js: 'text/javascript' }

const server = createServer((request, response) => {
  const path = normalize(new URL(request.url ?? '/', 'http://page').pathname)
  const file = path === '/' ? 'index.html' : path.slice(1)
  readFile(join(page, file)).then(
    (bytes) => {
      const type = TYPES[file.split('.').at(-1) ?? ''] ?? 'application/octet-stream'
      response.writeHead(200, { 'content-type': type }).end(bytes)
    },
    () => response.writeHead(404).end(),
  )
})
server.listen(Number(port), '127.0.0.1', () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  void start(url)
})

async function start(url: string): Promise<void> {
  const identity = await loadRelayIdentity(data, Date.now())
  const listen = ['/ip4/127.0.0.1/udp/0/webrtc-direct']
  const relay = await createRelay(
    { clock: realClock, log: collectingLog('relay') },
    { identity, server, listen },
  )
  console.log(`relay ${JSON.stringify({ url, addresses: relay.multiaddrs(url) })}`)
}
