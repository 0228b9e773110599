/** A node in a room of many members, which another server told it when it joined. */
import { serverOf, type JsonObject, type Pdu, type RoomId, type UserId } from '@plexus/core'
import type { Engine } from '@plexus/engine'
import type { Signer, Store } from '@plexus/engine/ports'
import { createAuthor, type Author } from './author.ts'
import { makeRoom, memberName, membership, messageOf, VERSION, type Line } from './made-room.ts'
import { makeEngine, makeSigner } from './receiver.ts'

export type BigNode = {
  readonly roomId: RoomId
  /** Who joined here. */
  readonly user: UserId
  readonly engine: Engine
  /** Milliseconds for so many own messages, one after the other. */
  send(count: number): Promise<number>
  /** Milliseconds for one transaction of so many messages of the other server, to their commit. */
  receive(count: number): Promise<number>
  close(): Promise<void>
}

/** `servers` are those of the members. */
export async function createBigNode(
  members: number,
  store: Store,
  signer?: Signer,
  servers = 1,
): Promise<BigNode> {
  const other = createAuthor()
  const authors = [other, ...Array.from({ length: servers - 1 }, () => createAuthor())]
  const byName = new Map<string, Author>(authors.map((author) => [author.name, author]))
  const room = makeRoom(
    members,
    other.name,
    (pdu) => (byName.get(serverOf(pdu.sender)) ?? other).sign(pdu),
    (member) => authors[member % servers]?.name ?? other.name,
  )
  const own = signer ?? (await makeSigner())
  const user = `@reader:${own.name}` as UserId
  const pdus = room.made.map(({ pdu }) => pdu)
  const template = room.build(room.base, membership(user, user, { membership: 'join' }))
  const { hashes: _hashes, signatures: _signatures, ...event } = template.pdu
  const engine = await makeEngine(own, store, {
    makeMembership: async () => ({ roomVersion: VERSION.id, event }),
    sendJoin: async () => ({ state: structuredClone(pdus), authChain: [] }),
  })
  await engine.rooms.join(user, room.roomId, { via: [other.name] })
  await engine.idle()

  const sender = memberName(0, other.name)
  let line: Line | undefined
  const next = async (): Promise<Pdu> => {
    if (line === undefined) {
      const snapshot = await engine.rooms.snapshot(room.roomId)
      const [head] = snapshot === undefined ? [] : await engine.rooms.events(snapshot.heads)
      if (snapshot === undefined || head === undefined) throw new Error('the room has no head')
      line = { state: snapshot.state, last: { id: head.id, pdu: head.pdu } }
    }
    const last = room.build(line, messageOf(sender, 'hello'))
    line = { state: line.state, last }
    return last.pdu
  }

  return {
    roomId: room.roomId,
    user,
    engine,
    async send(count) {
      const start = performance.now()
      for (let index = 0; index < count; index += 1) {
        await engine.rooms.send(room.roomId, {
          type: 'm.room.message',
          sender: user,
          content: { msgtype: 'm.text', body: 'hello' },
        })
      }
      const ms = performance.now() - start
      line = undefined
      return ms
    },
    async receive(count) {
      const batch: JsonObject[] = []
      while (batch.length < count) batch.push(structuredClone(await next()))
      const start = performance.now()
      await engine.inbound.transaction({ origin: other.name, pdus: batch, edus: [] })
      await engine.idle()
      const ms = performance.now() - start
      const heads = (await engine.rooms.snapshot(room.roomId))?.heads ?? []
      if (heads.length !== 1 || heads[0] !== line?.last.id) throw new Error('not every event was taken')
      return ms
    },
    close: () => engine.close(),
  }
}
