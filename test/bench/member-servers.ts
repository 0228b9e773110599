/**
 * The servers of a large room's members, which do what a join through the first of them needs and no more: they publish
 * their keys, let others in, and take every transaction.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { serverOf, signableBytes, type JsonObject, type Pdu, type ServerName } from '@plexus/core'
import { createAuthor, type Author } from './author.ts'
import { makeRoom, membership, VERSION, type MadeRoom } from './made-room.ts'

const DAY_MS = 86_400_000

export type MemberServers = {
  readonly room: MadeRoom
  /** The one that lets others in. */
  readonly resident: ServerName
  close(): void
}

/** `count` servers on loopback that are `localhost:PORT` each, with the members of a room among them. Paths of PEM files. */
export async function startMemberServers(
  members: number,
  count: number,
  tls: { readonly cert: string; readonly key: string },
): Promise<MemberServers> {
  const options = { cert: readFileSync(tls.cert), key: readFileSync(tls.key) }
  const servers: Server[] = []
  const authors: Author[] = []
  while (servers.length < count) {
    const server = createServer(options).listen(0, '127.0.0.1')
    await once(server, 'listening')
    servers.push(server)
    authors.push(createAuthor(`localhost:${(server.address() as AddressInfo).port}` as ServerName))
  }
  const of = (index: number): Author => authors[index % count] as Author
  const byName = new Map<string, Author>(authors.map((author) => [author.name, author]))
  const resident = of(0)
  const room = makeRoom(
    members,
    resident.name,
    (pdu) => (byName.get(serverOf(pdu.sender)) ?? resident).sign(pdu),
    (member) => of(member).name,
  )
  const state = room.made.map(({ pdu }) => pdu)
  servers.forEach((server, index) =>
    server.on('request', (request, response) => {
      const answer = answerTo(of(index), room, state, new URL(request.url ?? '', 'https://localhost'))
      request.resume().once('end', () => {
        response.writeHead(answer === undefined ? 404 : 200, { 'Content-Type': 'application/json' })
        response.end(JSON.stringify(answer ?? { errcode: 'M_UNRECOGNIZED', error: 'not served' }))
      })
    }),
  )
  return {
    room,
    resident: resident.name,
    close() {
      for (const server of servers) {
        server.close()
        server.closeAllConnections()
      }
    },
  }
}

function answerTo(
  author: Author,
  room: MadeRoom,
  state: readonly Pdu[],
  { pathname }: URL,
): JsonObject | undefined {
  const [, , , , call, , last = ''] = pathname.split('/')
  if (pathname === '/_matrix/key/v2/server') return keyDocument(author)
  if (call === 'send') return { pdus: {} }
  if (call === 'make_join') {
    const user = decodeURIComponent(last)
    const join = room.build(room.base, membership(user, user, { membership: 'join' }))
    const { hashes: _hashes, signatures: _signatures, ...event } = join.pdu
    return { room_version: VERSION.id, event }
  }
  // The creator's join, power levels and join rules, after the create event.
  if (call === 'send_join') return { origin: author.name, state, auth_chain: state.slice(0, 4) }
  return undefined
}

/** spec: v1.19 server-server-api.md "Publishing Keys" */
function keyDocument({ name, keyId, publicKey, signBytes }: Author): JsonObject {
  const document = {
    server_name: name,
    verify_keys: { [keyId]: { key: publicKey } },
    old_verify_keys: {},
    valid_until_ts: Date.now() + DAY_MS,
  }
  return { ...document, signatures: { [name]: { [keyId]: signBytes(signableBytes(document)) } } }
}
