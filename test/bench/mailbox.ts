/** Mail at one relay: what it takes, on disk before it answers, and how soon it tells the owner. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerName } from '@plexus/core'
import type { MailboxAddress } from '@plexus/core/names'
import { generateTransportKey } from '@plexus/p2p'
import { createP2pNode, nodePlatform } from '@plexus/p2p/node'
import { encodeCursor, MailboxFrame } from '@plexus/p2p/wire'
import { certify, collectingLog, newAccount, realClock } from '../kit/p2p.ts'
import { startMailRelay, type MailRelayProcess } from '../kit/mail-relay-process.ts'
import { figure, type Figure } from './figures.ts'
import { connectMailPeer, depositTo, MAIL_BYTES, type MailPeer, type MailStream } from './mail-peer.ts'
import { ACCESS_KEY, registrationOf } from './mail-registration.ts'
import { residentMb } from './machine.ts'
import { withLimit, type Section } from './section.ts'

const DAY_MS = 24 * 3_600_000
/** Connections that mail is left over, and deposits under way on each. */
const DEPOSITORS = 16
const UNDER_WAY = 16
const LIMIT_MS = 300_000

type Owner = { readonly name: ServerName; readonly stream: MailStream | undefined }

export const mailbox: Section = {
  name: 'mailbox',
  inNode: true,
  async run({ quick, note }) {
    const folder = await mkdtemp(join(tmpdir(), 'plexus-bench-'))
    await using ends = new AsyncDisposableStack()
    ends.defer(() => rm(folder, { recursive: true, force: true }))
    const relay = ends.use(await startMailRelay(folder))
    const [address = ''] = relay.address.multiaddrs
    const [all, here] = quick ? [200, 50] : [2_000, 500]
    const owners = await withLimit(register(address, all, here, ends), LIMIT_MS, 'registering')
    note(`${all} registered, ${here} connected; the relay takes ${residentMb(relay.pid).toFixed(0)} MB`)
    const peers = await Promise.all(Array.from({ length: DEPOSITORS }, () => connectMailPeer(address)))
    for (const peer of peers) ends.use(peer)
    const streams = await Promise.all(peers.map((peer) => peer.stream()))
    const sent = quick ? 2_000 : 10_000
    await deposits(streams, owners, 1_000)
    const rates: number[] = []
    const costs: number[] = []
    for (let run = 0; run < (quick ? 2 : 5); run += 1) {
      const before = cpuMs(relay)
      rates.push(await deposits(streams, owners, sent))
      costs.push((cpuMs(relay) - before) / sent)
    }
    const delays = await announcements(streams, owners, quick ? 200 : 2_000)
    return [
      figure({
        name: `deposits at a relay of ${all} mailboxes`,
        unit: '/s',
        values: rates,
        aims: [{ of: 'median', limit: 3_000 }],
        note: `${MAIL_BYTES} bytes, on disk before the answer, ${DEPOSITORS} kept connections; the load shares the machine`,
      }),
      figure({
        name: 'processor time of the relay for a deposit',
        unit: 'ms',
        values: costs,
        aims: [{ of: 'median', limit: 1 / 3 }],
        note: 'all its threads: does not depend on what else the machine does',
      }),
      figure({
        name: 'announcement of a mail to its owner',
        unit: 'ms',
        values: delays,
        aims: [{ of: 'p95', limit: 50 }],
        note: 'from its sending, at 500 mails a second',
      }),
      figure({
        name: 'memory of that relay',
        unit: 'MB',
        values: [residentMb(relay.pid)],
        aims: [{ of: 'median', limit: 500 }],
      }),
      ...(await throwAways(relay.address, owners, quick ? 20 : 100)),
    ]
  },
}

/** Milliseconds of processor time so far, counted in hundredths of a second. */
function cpuMs({ pid }: MailRelayProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** Registers accounts: `here` of them stay connected, each as a node of its own. */
async function register(
  address: string,
  all: number,
  here: number,
  ends: AsyncDisposableStack,
): Promise<readonly Owner[]> {
  const owners: Owner[] = []
  const enrol = async (peer: MailPeer, stays: boolean): Promise<void> => {
    const account = newAccount()
    const stream = await peer.stream()
    const body = registrationOf(account, peer.peerId)
    const answer = await stream.ask((channel, id) => channel.send(MailboxFrame.register, id, body))
    if (answer !== 'done') throw new Error(`not registered: ${answer}`)
    if (!stays) stream.close()
    owners.push({ name: account.name, stream: stays ? stream : undefined })
  }
  for (let n = 0; n < here; n += 1) await enrol(ends.use(await connectMailPeer(address)), true)
  await using sleeper = await connectMailPeer(address)
  while (owners.length < all) await enrol(sleeper, false)
  return owners
}

/** Leaves `count` mails, each with the next of the owners; the rate a second. */
async function deposits(
  streams: readonly MailStream[],
  owners: readonly Owner[],
  count: number,
): Promise<number> {
  const start = performance.now()
  let next = 0
  const work = async (stream: MailStream): Promise<void> => {
    while (next < count) {
      const owner = owners[next % owners.length]
      next += 1
      const answer = owner && (await depositTo(stream, owner.name))
      if (answer !== 'done') throw new Error(`not taken: ${answer}`)
    }
  }
  const workers = streams.flatMap((stream) => Array.from({ length: UNDER_WAY }, () => work(stream)))
  await withLimit(Promise.all(workers), LIMIT_MS, 'the deposits')
  return (count / (performance.now() - start)) * 1_000
}

/** Milliseconds from the sending of a mail to its announcement, one every two milliseconds. */
async function announcements(
  streams: readonly MailStream[],
  owners: readonly Owner[],
  count: number,
): Promise<readonly number[]> {
  const here = owners.filter(({ stream }) => stream !== undefined)
  const delays: number[] = []
  // Earlier mail was announced: only who fetches is told again.
  const fetched = (stream: MailStream): Promise<string> =>
    stream.ask((channel, id) => channel.send(MailboxFrame.fetch, id, encodeCursor(Number.MAX_SAFE_INTEGER)))
  const send = async (n: number): Promise<void> => {
    const owner = here[n % here.length]
    const sender = streams[n % streams.length]
    const stream = owner?.stream
    if (owner === undefined || sender === undefined || stream === undefined) return
    await fetched(stream)
    const start = performance.now()
    const told = new Promise<void>((resolve) => (stream.announced = resolve))
    await Promise.all([depositTo(sender, owner.name), told])
    delays.push(performance.now() - start)
  }
  const under: Promise<void>[] = []
  for (let n = 0; n < count; n += 1) {
    under.push(send(n))
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await withLimit(Promise.all(under), LIMIT_MS, 'the announcements')
  return delays
}

/** What a mail costs under an identity of its own: node, connection and handshake included. */
async function throwAways(
  address: MailboxAddress,
  owners: readonly Owner[],
  count: number,
): Promise<readonly Figure[]> {
  const account = newAccount()
  await using sender = await createP2pNode(
    {
      platform: nodePlatform({ webrtc: false }),
      clock: realClock,
      log: collectingLog('sender'),
      random: { bytes: (length) => new Uint8Array(randomBytes(length)) },
      memory: { load: () => Promise.resolve([]), save: () => Promise.resolve() },
      certify: (peerId) => Promise.resolve(certify(account, peerId)),
    },
    { transportKey: await generateTransportKey(), relays: [], lan: true },
  )
  const times: number[] = []
  for (const { name } of owners.slice(0, count)) {
    const start = performance.now()
    const bytes = new Uint8Array(randomBytes(MAIL_BYTES))
    const mail = { recipient: name, lane: 'keys' as const, keyId: 'k1', expires: Date.now() + DAY_MS, bytes }
    await sender.mailboxes.deposit(address, mail, ACCESS_KEY)
    times.push(performance.now() - start)
  }
  const name = 'a mail under a throw-away identity'
  return [figure({ name, unit: 'ms', values: times, note: 'made, connected and answered; kept for 20 s' })]
}
