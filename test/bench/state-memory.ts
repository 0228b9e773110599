/**
 * What a room of many members keeps in memory, as JSON: `node --expose-gc test/bench/state-memory.ts <members>`.
 * The heap is read before and after, each time when all garbage is collected.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RoomId, UserId } from '@plexus/core'
import type { Signer } from '@plexus/engine/ports'
import { openSqliteStore } from '@plexus/store/sqlite'
import { createBigNode } from './big-node.ts'
import { makeRoom } from './made-room.ts'
import { makeEngine, makeSigner } from './receiver.ts'

function heap(): number {
  if (gc === undefined) throw new Error('start me with --expose-gc')
  for (let times = 0; times < 4; times += 1) gc()
  return process.memoryUsage().heapUsed
}

/** The map alone, without the events, whose ids would else be shared with it. */
function ofState(members: number): number {
  const before = heap()
  const { state } = makeRoom(members, 'a.example').base
  const after = heap()
  if (state.size < members) throw new Error('members are missing')
  return after - before
}

async function ofNode(members: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'plexus-bench-'))
  try {
    const path = join(folder, 'store.sqlite')
    const signer = await makeSigner()
    const roomId = await fill(path, members, signer)
    const before = heap()
    const engine = await makeEngine(signer, await openSqliteStore(path), {})
    const snapshot = await engine.rooms.snapshot(roomId)
    if (snapshot === undefined || snapshot.state.size < members) throw new Error('members are missing')
    const sender = `@reader:${signer.name}` as UserId
    await engine.rooms.send(roomId, { type: 'm.room.message', sender, content: {} })
    const after = heap()
    await engine.close()
    return after - before
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Joins the room on a store that stays; answers with its id. */
async function fill(path: string, members: number, signer: Signer): Promise<RoomId> {
  const node = await createBigNode(members, await openSqliteStore(path), signer)
  await node.close()
  return node.roomId
}

const members = Number(process.argv[2])
const state = ofState(members)
console.log(JSON.stringify({ state, node: await ofNode(members) }))
