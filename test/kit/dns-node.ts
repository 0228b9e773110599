/** Headless nodes whose names are `localhost:PORT`, and raw requests to where other servers connect to them. */
import { mkdirSync } from 'node:fs'
import { request as requestHttps, type RequestOptions } from 'node:https'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { startNodeApp, type NodeApp } from './node-app.ts'
import type { TestCa } from './test-ca.ts'

export interface DnsNode extends NodeApp {
  /** Where its data is. */
  readonly data: string
  readonly port: number
}

/** The domain that the certificates of all nodes here are of. */
export const TEST_DOMAIN = 'example.test'

/** Starts a node in `folder`, on the port that its name has or any free one; it is `localhost:PORT` unless `naming` has other flags. */
export async function startDnsNode(
  folder: string,
  ca: TestCa,
  init: {
    readonly port?: number
    readonly naming?: readonly string[]
    readonly args?: readonly string[]
  } = {},
): Promise<DnsNode> {
  const port = init.port ?? (await freePort())
  const { naming = ['--server-name', `localhost:${port}`], args = [] } = init
  mkdirSync(folder, { recursive: true })
  const paths = await ca.write(folder, ['localhost', '127.0.0.1', `*.${TEST_DOMAIN}`])
  const data = join(folder, 'data')
  const place = [...naming, '--federation', `127.0.0.1:${port}`]
  const tls = ['--tls-cert', paths.cert, '--tls-key', paths.key, '--ca', paths.ca]
  const node = await startNodeApp(data, [...place, ...tls, '--private-addresses', ...args])
  return { ...node, data, port }
}

export type HttpsReply = { readonly status: number; readonly contentType: string; readonly text: string }

/** One request to a server on loopback on a connection of its own, with its certificate checked. */
export function askHttps(
  ca: TestCa,
  port: number,
  { body, ...options }: RequestOptions & { readonly path: string; readonly body?: string | Buffer },
): Promise<HttpsReply> {
  return new Promise((resolve, reject) => {
    const target = { host: 'localhost', family: 4, port, ca: ca.cert, agent: false }
    const outgoing = requestHttps({ ...target, ...options }, (answer) => {
      void answer.toArray().then((parts: Buffer[]) => {
        const { statusCode = 0, headers } = answer
        const text = Buffer.concat(parts).toString()
        resolve({ status: statusCode, contentType: headers['content-type'] ?? '', text })
      }, reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
