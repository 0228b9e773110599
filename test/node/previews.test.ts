/** URL previews and thumbnails of a headless node, with a web server on this machine. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { noisePng } from '../kit/image.ts'
import { register, startNodeApp, type NodeApp, type Person, type Reply } from '../kit/node-app.ts'

const { bytes: PNG } = noisePng(80, 40)
const PAGE = `<title>A page</title><meta property="og:image" content="/picture.png">`

let data = ''
let web: Server
let address = ''

beforeEach(async () => {
  data = mkdtempSync(join(tmpdir(), 'plexus-node-'))
  web = createServer((request, response) => {
    if (request.url === '/picture.png') response.end(PNG)
    else if (request.url === '/') response.writeHead(302, { Location: '/page' }).end()
    else response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(PAGE)
  })
  await new Promise<void>((resolve) => {
    web.listen(0, '127.0.0.1', resolve)
  })
  address = `http://127.0.0.1:${(web.address() as AddressInfo).port}/`
})
afterEach(async () => {
  web.closeAllConnections()
  await new Promise((resolve) => web.close(resolve))
  rmSync(data, { recursive: true, force: true })
})

const preview = (person: Person, url: string): Promise<Reply> =>
  person.ask('GET', `v1/media/preview_url?url=${encodeURIComponent(url)}&ts=1510610716656`)
const refusal = ({ status, body }: Reply): readonly unknown[] => [status, body['errcode']]

/** A session's bytes: `Person` speaks JSON alone. */
async function bytesOf(node: NodeApp, token: string, path: string): Promise<Response> {
  return fetch(new URL(`_matrix/client/${path}`, node.clientApi), {
    headers: { Authorization: `Bearer ${token}` },
  })
}

async function tokenOf(node: NodeApp): Promise<string> {
  const body = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: 'ann' },
    password: 'correct horse battery',
  }
  const response = await fetch(new URL('_matrix/client/v3/login', node.clientApi), {
    method: 'POST',
    body: JSON.stringify(body),
  })
  return ((await response.json()) as { access_token: string }).access_token
}

describe('a headless node', { timeout: 60_000 }, () => {
  it('previews pages of the web, and makes thumbnails of their pictures', async () => {
    await using node = await startNodeApp(data, ['--url-previews', 'on', '--private-addresses'])
    const ann = await register(data, () => node.clientApi, 'ann')
    const { status, body } = await preview(ann, `${address}#part`)
    const picture = body['og:image'] as string
    expect([status, body]).toEqual([
      200,
      {
        'og:title': 'A page',
        'og:image': expect.stringMatching(/^mxc:\/\//),
        'og:image:type': 'image/png',
        'og:image:width': 80,
        'og:image:height': 40,
        'matrix:image:size': PNG.length,
      },
    ])
    const token = await tokenOf(node)
    const place = picture.slice('mxc://'.length)
    const whole = await bytesOf(node, token, `v1/media/download/${place}`)
    expect(Buffer.from(await whole.arrayBuffer()).equals(PNG)).toBe(true)
    const small = await bytesOf(node, token, `v1/media/thumbnail/${place}?width=32&height=32&method=crop`)
    expect(small.headers.get('content-type')).toBe('image/png')
    expect(small.headers.get('content-disposition')).toBe('inline')
    expect(Buffer.from(await small.arrayBuffer()).readUInt32BE(16)).toBe(32)

    for (const url of ['ftp://a.example/', 'nonsense', 'http://['])
      expect(refusal(await preview(ann, url))).toEqual([400, 'M_INVALID_PARAM'])
    expect(refusal(await ann.ask('GET', 'v1/media/preview_url'))).toEqual([400, 'M_MISSING_PARAM'])
    expect(refusal(await preview(ann, 'http://127.0.0.1:1/'))).toEqual([404, 'M_NOT_FOUND'])
  })

  it('asks no private address, and nobody at all unless it is told to', async () => {
    {
      await using node = await startNodeApp(data, ['--url-previews', 'on'])
      const ann = await register(data, () => node.clientApi, 'ann')
      expect(refusal(await preview(ann, address))).toEqual([403, 'M_FORBIDDEN'])
    }
    await using node = await startNodeApp(data, ['--private-addresses'])
    const ben = await register(data, () => node.clientApi, 'ben')
    expect(refusal(await preview(ben, address))).toEqual([404, 'M_UNRECOGNIZED'])
  })
})
