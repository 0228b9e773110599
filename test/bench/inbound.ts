/** Inbound PDUs per second, from signature check to commit, staging included: `node test/bench/inbound.ts [count]`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JsonObject } from '@plexus/core'
import { openSqliteStore } from '@plexus/store/sqlite'
import { createBareNetwork } from '../kit/bare-rooms.ts'

const count = Number(process.argv[2] ?? 5_000)
const folder = mkdtempSync(join(tmpdir(), 'plexus-bench-'))
const network = createBareNetwork()
const alice = await network.add('alice')
const bob = await network.add('bob', await openSqliteStore(join(folder, 'bob.sqlite')))
const roomId = await alice.rooms.create({
  creator: alice.user,
  initialState: [
    { type: 'm.room.member', stateKey: alice.user, content: { membership: 'join' } },
    { type: 'm.room.power_levels', stateKey: '', content: { users: {} } },
    { type: 'm.room.join_rules', stateKey: '', content: { join_rule: 'public' } },
  ],
})
await bob.rooms.join(bob.user, roomId, { via: [alice.name] })
await network.settle()
network.offline.add(bob.name)
const ids = []
for (let index = 0; index < count; index += 1) {
  ids.push(
    await alice.rooms.send(roomId, {
      type: 'm.room.encrypted',
      sender: alice.user,
      content: {
        algorithm: 'm.megolm.v1.aes-sha2',
        ciphertext: 'A'.repeat(520),
        sender_key: 'k',
        session_id: 's'.repeat(43),
      },
    }),
  )
}
const events = (await alice.rooms.events(ids)).map((record) => record?.pdu as JsonObject)
console.log('bytes per event', JSON.stringify(events[0]).length)
const started = performance.now()
for (let start = 0; start < events.length; start += 50) {
  await bob.inbound.transaction({ origin: alice.name, pdus: events.slice(start, start + 50), edus: [] })
}
const answered = performance.now()
await bob.staging.idle()
const done = performance.now()
const rate = (ms: number): string => `${Math.round((count / ms) * 1000)}/s`
console.log(`answered ${rate(answered - started)}, committed ${rate(done - started)}`)
const page = await bob.rooms.timeline(roomId, { from: 0, to: 2 ** 50, direction: 'b', limit: 1000 })
console.log('events of the newest page', page.events.length)
await bob.store.close()
rmSync(folder, { recursive: true })
process.exit(0)
