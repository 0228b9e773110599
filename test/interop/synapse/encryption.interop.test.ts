/** matrix-js-sdk with Rust crypto on both a Plexus node and Synapse: they read each other, also on new devices. */
import type { MatrixClient } from 'matrix-js-sdk'
import { MsgType, Preset } from 'matrix-js-sdk'
import { afterAll, expect, it } from 'vitest'
import { cryptoOf, startStockClient, until, type StockClientInit } from '../../kit/stock-client.ts'
import type { Homeserver } from './homeserver.ts'
import { scenario } from './scenario.ts'

const clients: MatrixClient[] = []

async function start(
  home: Homeserver,
  localpart: string,
  kind: StockClientInit['kind'],
): Promise<MatrixClient> {
  const client = await startStockClient({ baseUrl: home.url, fetchFn: fetch, localpart, kind })
  clients.push(client)
  return client
}

/** Sends a text and waits until all others have decrypted it. */
async function tell(
  from: MatrixClient,
  all: readonly MatrixClient[],
  roomId: string,
  body: string,
): Promise<void> {
  const { event_id: eventId } = await from.sendMessage(roomId, { msgtype: MsgType.Text, body })
  await Promise.all(
    all.map((to) =>
      until(to, () => to.getRoom(roomId)?.findEventById(eventId)?.getContent()['body'] === body),
    ),
  )
}

scenario('encryption', (room) => {
  afterAll(() => {
    for (const client of clients.splice(0)) client.stopClient()
  })

  it('lets people read each other on all devices', async () => {
    const [here, there] = [room.owner.home, room.guest.home]
    const alice = await start(here, `alice-${room.version}-${here.kind}`, 'register')
    const bob = await start(there, `bob-${room.version}-${here.kind}`, 'register')
    const { room_id: roomId } = await alice.createRoom({
      preset: Preset.PrivateChat,
      room_version: room.version,
      initial_state: [
        { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
      ],
    })
    await alice.invite(roomId, bob.getSafeUserId())
    await until(bob, () => bob.getRoom(roomId)?.getMyMembership() === 'invite')
    await bob.joinRoom(roomId, { viaServers: [here.name] })
    await until(alice, () => alice.getRoom(roomId)?.getMember(bob.getSafeUserId())?.membership === 'join')
    await tell(alice, [bob], roomId, 'hello Bob')
    await tell(bob, [alice], roomId, 'hello Alice')
    // A device that comes later is told of by a device list update, also to the other side.
    const [aliceTwo, bobTwo] = [
      await start(here, alice.getUserIdLocalpart() ?? '', 'login'),
      await start(there, bob.getUserIdLocalpart() ?? '', 'login'),
    ]
    for (const [who, user, device] of [
      [bob, alice, aliceTwo],
      [alice, bob, bobTwo],
    ] as const) {
      const known = async (): Promise<boolean> => {
        const devices = await cryptoOf(who).getUserDeviceInfo([user.getSafeUserId()], true)
        return devices.get(user.getSafeUserId())?.has(device.getDeviceId() ?? '') === true
      }
      while (!(await known()))
        await new Promise((resolve) => {
          who.once('crypto.devicesUpdated' as never, resolve as never)
        })
    }
    await tell(alice, [bob, bobTwo, aliceTwo], roomId, 'hello all')
    await tell(bob, [alice, aliceTwo, bobTwo], roomId, 'hello all back')
    expect(clients.length).toBeGreaterThan(3)
  })
})
