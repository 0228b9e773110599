/** People whose nodes leave mail for each other at relays, and who are there or away. */
import type { EventId, RoomId } from '@plexus/core'
import type { SealedMail } from '@plexus/engine/ports'
import { createFakeRelays, createQuickSealer, type FakeRelay, type FakeRelays } from '../kit/mail-relay.ts'
import { createTestNetwork } from '../kit/node.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { bringIn, createRoom, say } from '../server-api/room.ts'
import { callerOf } from './users-kit.ts'

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
const FAR = 10 ** 9

export type MailNetwork = { readonly network: TestNetwork; readonly relays: FakeRelays }

export async function createMailNetwork(
  localparts: readonly string[],
  relayCount: number,
): Promise<MailNetwork & { readonly all: readonly FakeRelay[] }> {
  const relays = createFakeRelays()
  const all = Array.from({ length: relayCount }, () => relays.add())
  const mail = { relays, sealer: createQuickSealer(7) }
  return { relays, all, network: await createTestNetwork(localparts, 1, { mail }) }
}

/** `world`: that of the test under way. */
export function mailKit(world: () => MailNetwork) {
  /** In steps from timer to timer. */
  const pass = async (ms: number): Promise<void> => {
    await world().network.clock.advance(ms)
    await world().network.settle()
  }
  const setAway = (member: Member, isAway = true): void => {
    world().network.loopback.offline(member.node.name, isAway)
    world().relays.setOffline(member.node.name, isAway)
  }
  const sendToDevice = (from: Member, to: Member, n: number): Promise<void> => {
    const messages = { [to.user]: { [to.deviceId]: { n } } }
    return from.node.engine.users.toDevice.send(callerOf(from), 'm.test', `t${n}`, messages)
  }
  /** The numbers of the to-device messages that came. */
  const inbox = async (member: Member): Promise<readonly unknown[]> => {
    const page = await member.node.engine.users.toDevice.inbox(callerOf(member), 0, FAR, 1_000)
    return page.events.map(({ content }) => content['n'])
  }
  const rowsOf = async ({ node }: Member, map: string): Promise<number> =>
    (await node.store.range(map, '', '\u00ff')).length
  return { pass, setAway, sendToDevice, inbox, rowsOf }
}

/** Two members of a room of Alice's, each with mailboxes at both relays. */
export type Correspondents = MailNetwork & {
  readonly alice: Member
  readonly bob: Member
  readonly roomId: RoomId
}

export async function createCorrespondents(): Promise<
  Correspondents & { readonly one: FakeRelay; readonly two: FakeRelay }
> {
  const { network, relays, all } = await createMailNetwork(['alice', 'bob'], 2)
  const [one, two] = all as [FakeRelay, FakeRelay]
  const [alice, bob] = network.members as [Member, Member]
  const roomId = await createRoom(alice)
  await bringIn(alice, bob, roomId)
  await network.pass(3_000)
  return { network, relays, one, two, alice, bob, roomId }
}

/** `world`: that of the test under way. */
export function correspondence(world: () => Correspondents) {
  const kit = mailKit(world)
  const { pass, sendToDevice, setAway } = kit
  const deliveryOf = (member: Member, id: EventId): Promise<unknown> =>
    member.node.engine.control.delivery(world().roomId, id)
  const mailFor = (relay: FakeRelay, member: Member): readonly SealedMail[] => relay.waiting(member.node.name)
  /** A message and a to-device message of Alice while Bob is away, and then nobody is there. */
  const leave = async (text: string, n: number): Promise<EventId> => {
    const { alice, bob, roomId } = world()
    setAway(bob)
    const id = await say(alice, roomId, text)
    await sendToDevice(alice, bob, n)
    await pass(MINUTE)
    setAway(alice)
    return id
  }
  return { ...kit, deliveryOf, mailFor, leave }
}
