/**
 * What a room of many members keeps in memory. The process that measures reads the room from disk, so that nothing else
 * is in its heap:
 *
 *   node test/bench/state-memory.ts fill <folder> <members>
 *   node --expose-gc test/bench/state-memory.ts read <folder>
 *
 * The second prints JSON: bytes of heap that the room needs, each read when all garbage is collected.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RoomId, UserId } from '@plexus/core'
import { nameOfKey } from '@plexus/core/names'
import { createSigner } from '@plexus/engine'
import type { Signer } from '@plexus/engine/ports'
import { openSqliteStore } from '@plexus/store/sqlite'
import { createBigNode } from './big-node.ts'
import { makeEngine } from './receiver.ts'

type Filled = { readonly roomId: RoomId; readonly raw: string; readonly pkcs8: string }

const [action, folder = '', count] = process.argv.slice(2)
const [database, about] = [join(folder, 'store.sqlite'), join(folder, 'about.json')]

async function signerOf({ raw, pkcs8 }: Pick<Filled, 'raw' | 'pkcs8'>): Promise<Signer> {
  const bytes = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text, 'base64'))
  const privateKey = await crypto.subtle.importKey('pkcs8', bytes(pkcs8), 'Ed25519', false, ['sign'])
  return createSigner(crypto.subtle, { name: nameOfKey(bytes(raw)), keyId: 'ed25519:0', privateKey })
}

async function fill(members: number): Promise<void> {
  const { publicKey, privateKey } = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])
  const text = async (format: 'raw' | 'pkcs8', key: CryptoKey): Promise<string> =>
    Buffer.from(await crypto.subtle.exportKey(format, key)).toString('base64')
  const keys = { raw: await text('raw', publicKey), pkcs8: await text('pkcs8', privateKey) }
  const node = await createBigNode(members, await openSqliteStore(database), await signerOf(keys))
  await node.close()
  await writeFile(about, JSON.stringify({ ...keys, roomId: node.roomId } satisfies Filled))
}

function heap(): number {
  if (gc === undefined) throw new Error('start me with --expose-gc')
  for (let times = 0; times < 4; times += 1) gc()
  return process.memoryUsage().heapUsed
}

async function read(): Promise<void> {
  const filled = JSON.parse(await readFile(about, 'utf8')) as Filled
  const signer = await signerOf(filled)
  const engine = await makeEngine(signer, await openSqliteStore(database), {})
  const before = heap()
  const snapshot = await engine.rooms.snapshot(filled.roomId)
  const members = snapshot?.joinedMembers.length
  const loaded = heap()
  const sender = `@reader:${signer.name}` as UserId
  await engine.rooms.send(filled.roomId, { type: 'm.room.message', sender, content: {} })
  const used = heap()
  await engine.close()
  console.log(JSON.stringify({ members, loaded: loaded - before, used: used - before }))
}

await (action === 'fill' ? fill(Number(count)) : read())
