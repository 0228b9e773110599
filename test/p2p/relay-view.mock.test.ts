/**
 * What a relay can know: everything that it sees of a conversation (store, log, connections, streams, every byte, times) and all
 * that is public names neither sender, room, event type nor text. `LINKED_MAILS` sets how many mails are tried.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RoomId, ServerName } from '@plexus/core'
import type { Libp2pOptions } from 'libp2p'
import type { Mailboxes } from '@plexus/engine/ports'
import type { P2pNode } from '@plexus/p2p'
import { DEFAULT_MAIL_POLICY, openSqliteMailStore } from '@plexus/relay'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { view } from '../kit/curious-relay.ts'
import { startNetworked, type Networked } from '../kit/networked-node.ts'
import { eventually, startRelayHere, temporaryFolder } from '../kit/p2p.ts'
import { createSeededRandom } from '../kit/seeded-random.ts'
import { bringIn, createRoom } from '../server-api/room.ts'
import { depositsIn, guess, knowing, wordsFor, type Guesses, type Known, type SeenDeposit } from './linker.ts'

vi.mock(import('libp2p'), async (original) => {
  const real = await original()
  const { tapped } = await import('../kit/curious-relay.ts')
  return {
    ...real,
    createLibp2p: ((options: Libp2pOptions) =>
      tapped(real.createLibp2p, options)) as typeof real.createLibp2p,
  }
})

const MAILS = Number(process.env['LINKED_MAILS'] ?? 14)
const LEAKY_MAILS = 20
/** Of a busy machine. */
const BUSY_MS = 60_000
const SECRET = 'the cat sat on the mat'
const random = createSeededRandom(5)
const texts: string[] = []
const TYPES = ['m.room.message', 'm.room.encrypted', 'm.room.redaction.request']

const cleanups: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean()
})

/** Who left each mail, by its first bytes: those of a key that is made for it alone. */
const truth = new Map<string, { readonly sender: ServerName; readonly type: string; readonly size: number }>()
let type = ''
let leak: ((p2p: P2pNode, recipient: ServerName) => Promise<unknown>) | undefined
let folder = ''
let relayLog: () => readonly string[] = () => []
const writers: Networked[] = []
const readers: Networked[] = []
const rooms = new Map<string, RoomId>()

const known = ({ member, peerId }: Networked): Known => ({ name: member.node.name, peerId })
const headOf = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(0, 32)).toString('hex')
const roomOf = (one: Networked, other: Networked): RoomId => {
  const names = [known(one).name, known(other).name]
  const roomId = rooms.get(names.join(' ')) ?? rooms.get(names.toReversed().join(' '))
  if (roomId === undefined) throw new Error('they share no room')
  return roomId
}

function observed(mailboxes: Mailboxes, p2p: () => P2pNode, name: () => ServerName): Mailboxes {
  return {
    ...mailboxes,
    async deposit(mailbox, mail, accessKey) {
      await leak?.(p2p(), mail.recipient)
      truth.set(headOf(mail.bytes), { sender: name(), type, size: mail.bytes.length })
      return mailboxes.deposit(mailbox, mail, accessKey)
    },
  }
}

async function start(localpart: string, seed: number, relays: readonly string[]): Promise<Networked> {
  const one: Networked = await startNetworked({
    localpart,
    seed,
    relays,
    changeMailboxes: (mailboxes, p2p) => observed(mailboxes, p2p, () => one.member.node.name),
  })
  cleanups.push(() => one.sleep())
  return one
}

beforeAll(async () => {
  const temporary = await temporaryFolder()
  cleanups.push(() => temporary.remove())
  folder = temporary.path
  const store = openSqliteMailStore(join(folder, 'mail.db'), { maxBytes: 100_000_000 })
  cleanups.push(async () => store[Symbol.asyncDispose]())
  const relay = await startRelayHere(folder, 0, { mail: { store, policy: DEFAULT_MAIL_POLICY } })
  cleanups.push(() => relay.stop())
  relayLog = () => relay.lines
  const at = relay.addresses.slice(0, 1)
  for (const [index, name] of ['ann', 'ben', 'cai'].entries()) writers.push(await start(name, 21 + index, at))
  for (const [index, name] of ['dee', 'eve'].entries()) readers.push(await start(name, 31 + index, at))
  for (const writer of writers)
    for (const reader of readers) {
      const roomId = await createRoom(writer.member)
      await bringIn(writer.member, reader.member, roomId)
      rooms.set(`${known(writer).name} ${known(reader).name}`, roomId)
    }
  // Each knows where the others' mail goes.
  const knows = async ({ member }: Networked): Promise<number> =>
    (await member.node.store.range('contact', '', '\u00ff')).length
  await until(async () => {
    const known = await Promise.all([...writers, ...readers].map(knows))
    return known.every((count, index) => count === (index < writers.length ? readers : writers).length)
  })
}, 120_000)

/** The sender that the test knows of, by the first bytes of what was sealed. */
const senderOf = ({ bytes }: SeenDeposit): ServerName | undefined =>
  [...truth].find(([head]) => Buffer.from(bytes).includes(Buffer.from(head, 'hex')))?.[1].sender

/** Mail of some of `from` to some of `to`, one after the other; answers what came of them at the relay. */
async function talk(
  from: readonly Networked[],
  to: readonly Networked[],
  mails: number,
): Promise<readonly SeenDeposit[]> {
  const recipients = to.map(known)
  const seen = (): readonly SeenDeposit[] => depositsIn(view, recipients)
  const before = seen().length
  for (let n = 0; n < mails; n += 1) {
    const [one, other] = [from[random.below(from.length)], to[random.below(to.length)]]
    if (one === undefined || other === undefined) continue
    const left = truth.size
    const text = `${SECRET} ${texts.length}`
    texts.push(text)
    type = TYPES[n % TYPES.length] ?? ''
    const { node, user } = one.member
    await node.engine.rooms.send(roomOf(one, other), { type, sender: user, content: { body: text } })
    await eventually(() => truth.size > left, 'it is left at the relay', BUSY_MS)
    await new Promise((resolve) => setTimeout(resolve, random.below(30)))
  }
  await eventually(() => seen().length >= before + mails, 'it is at the relay', BUSY_MS)
  return seen().slice(before)
}

async function linked(
  from: readonly Networked[],
  to: readonly Networked[],
  mails: number,
): Promise<readonly Guesses[]> {
  const deposits = await talk(from, to, mails)
  const senders = new Set(deposits.map(senderOf))
  expect(senders).toEqual(new Set(from.map((one) => known(one).name)))
  return knowing(guess(view, deposits, from.map(known), senderOf), from.length)
}

/** Luck, which comes once in a thousand runs, does not last. */
async function linkedAgain(
  from: readonly Networked[],
  to: readonly Networked[],
): Promise<readonly Guesses[]> {
  const found = await linked(from, to, MAILS)
  if (found.length === 0) return []
  const again = await linked(from, to, MAILS)
  return again.filter(({ linker }) => found.some((other) => other.linker === linker))
}

const sleep = async (people: readonly Networked[]): Promise<void> => {
  await Promise.all(people.map((one) => one.sleep()))
}

describe('a relay that keeps all that it sees', { timeout: 120_000 }, () => {
  it('does not know who of those who are awake left a mail for somebody asleep', async () => {
    await sleep(readers)
    expect(await linkedAgain(writers, readers)).toEqual([])
  })

  it.each<[string, NonNullable<typeof leak>]>([
    ['looks up whom it writes to', (p2p, recipient) => p2p.directory.find(recipient)],
    ['fetches its own mail before it writes', ({ mailboxes }) => fetchFrom(mailboxes)],
  ])('knows it of a node that %s', async (_what, leaky) => {
    leak = leaky
    const found = await linked(writers, readers, LEAKY_MAILS)
    leak = undefined
    expect(found).not.toEqual([])
  })

  it('does not know it of those who answer either', async () => {
    await sleep(writers)
    for (const reader of readers) await reader.wake()
    for (const reader of readers)
      await until(async () => (await readAll(reader)).some((text) => text.includes(SECRET)))
    expect(await linkedAgain(readers, writers)).toEqual([])
  })

  it('has no sender, room, event type or text of it, in its store, in its log, on any stream', async () => {
    for (const writer of writers) await writer.wake()
    const everybody = [...writers, ...readers]
    await until(async () => {
      const read = await Promise.all(everybody.map(readAll))
      return texts.every((text) => read.filter((all) => all.includes(JSON.stringify(text))).length === 2)
    })
    const stored = await Promise.all(['mail.db', 'mail.db-wal'].map((name) => readFile(join(folder, name))))
    const all = [
      ...stored,
      Buffer.from(relayLog().join('\n')),
      ...view.traffic.map(({ bytes }) => Buffer.from(bytes)),
    ]
    const secrets = [SECRET, 'm.room.', ...rooms.values()]
    expect(secrets.filter((secret) => all.some((bytes) => bytes.includes(secret)))).toEqual([])
    const mail = depositsIn(view, everybody.map(known))
    const senders = [...new Set(mail.map(senderOf))]
    expect(senders).toHaveLength(everybody.length)
    for (const deposit of mail) {
      const others = everybody.map(known).filter(({ name }) => name !== deposit.recipient.name)
      const words = others.flatMap(wordsFor)
      expect(words.filter((word) => Buffer.from(deposit.bytes).includes(word))).toEqual([])
    }
    expect(new Set(TYPES.map(usualSize)).size).toBe(1)
  })
})

/** The size of most mails that were left for an event of a type: others hold two, or word of what came. */
function usualSize(type: string): number | undefined {
  const sizes = [...truth.values()].filter((mail) => mail.type === type).map(({ size }) => size)
  const times = (size: number): number => sizes.filter((other) => other === size).length
  return sizes.toSorted((a, b) => times(b) - times(a))[0]
}

async function readAll({ member }: Networked): Promise<readonly string[]> {
  const { rooms: all } = member.node.engine
  const range = { from: -(2 ** 50), to: 2 ** 50, direction: 'f', limit: 5_000 } as const
  const timelines = await Promise.all([...rooms.values()].map((roomId) => all.timeline(roomId, range)))
  return timelines.flatMap(({ events }) => events.map(({ pdu }) => JSON.stringify(pdu.content['body'] ?? '')))
}

async function until(check: () => Promise<boolean>): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setTimeout(resolve, 20))
}

async function fetchFrom(mailboxes: Mailboxes): Promise<void> {
  for (const { peerId } of await mailboxes.relays()) await mailboxes.fetch(peerId, 2 ** 50)
}
