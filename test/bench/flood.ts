/** What honest mail gets at a relay process that another process floods from another address. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { ServerName } from '@plexus/core'
import { MailboxFrame } from '@plexus/p2p/wire'
import { newAccount } from '../kit/p2p.ts'
import { startRelay } from '../kit/relay-process.ts'
import { figure, type Figure } from './figures.ts'
import { connectMailPeer, depositTo, type MailStream } from './mail-peer.ts'
import { registrationOf } from './mail-registration.ts'
import { residentMb } from './machine.ts'
import type { Section } from './section.ts'

const FLOODS = [
  'connections',
  'handshakes',
  'streams',
  'registrations',
  'deposits',
  'deposits for nobody',
  'oversized records',
  'claims',
  'fetches',
] as const
const ATTACKER = '127.0.0.2'
/** What honest senders leave a second, all from one address and within what a relay lets one. */
const HONEST_PER_SECOND = 100
const HONEST_STREAMS = 8
/** From the first that a flood did until it is counted what it does. */
const WARM_UP_MS = 1_500
const MOST_START_MS = 10_000

type Honest = { readonly streams: readonly MailStream[]; readonly recipients: readonly ServerName[] }
type Outcome = {
  /** Mails that were left and those that were taken. */
  readonly sent: number
  readonly delays: readonly number[]
  readonly peakMb: number
}

export const flood: Section = {
  name: 'flood',
  inNode: true,
  async run({ quick, note }) {
    const data = await mkdtemp(join(tmpdir(), 'plexus-bench-'))
    await using ends = new AsyncDisposableStack()
    ends.defer(() => rm(data, { recursive: true, force: true }))
    const relay = ends.use(await startRelay({ data }))
    const network = (await (await fetch(new URL('plexus.json', relay.address))).json()) as {
      relays: string[]
    }
    const multiaddr = network.relays.find((each) => /^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/ws\//.test(each)) ?? ''
    const honest = await arrive(multiaddr, ends)
    const ms = quick ? 2_000 : 10_000
    const before = await measure(relay.pid, honest, ms)
    note(`without a flood ${wordsOf(before)}`)
    const figures: Figure[] = []
    for (const kind of FLOODS) {
      const attack = await startFlood(kind, multiaddr, honest.recipients[0])
      await pause(WARM_UP_MS)
      const during = await measure(relay.pid, honest, ms)
      const done = await attack.stop()
      note(`${kind}: ${done} done; ${wordsOf(during)}`)
      figures.push(...figuresOf(kind, during))
    }
    return figures
  },
}

const wordsOf = ({ sent, delays, peakMb }: Outcome): string =>
  `${delays.length} of ${sent} mails are taken, memory ${peakMb.toFixed(0)} MB`

function figuresOf(kind: string, { sent, delays, peakMb }: Outcome): Figure[] {
  return [
    figure({
      name: `honest mail in a flood of ${kind}`,
      unit: 'x',
      values: [sent / delays.length],
      aims: [{ of: 'median', limit: 2 }],
      note: 'how many are sent for each that is taken, at a hundred a second; the flood shares the machine',
    }),
    figure({ name: `answer to it in a flood of ${kind}`, unit: 'ms', values: delays }),
    figure({
      name: `memory of the relay in a flood of ${kind}`,
      unit: 'MB',
      values: [peakMb],
      aims: [{ of: 'median', limit: 500 }],
    }),
  ]
}

/** Honest senders and recipients, connected and registered before any flood. */
async function arrive(multiaddr: string, ends: AsyncDisposableStack): Promise<Honest> {
  const streams: MailStream[] = []
  const recipients: ServerName[] = []
  for (let n = 0; n < HONEST_STREAMS; n += 1) {
    const peer = ends.use(await connectMailPeer(multiaddr))
    const stream = await peer.stream()
    const account = newAccount()
    const body = registrationOf(account, peer.peerId)
    const answer = await stream.ask((channel, id) => channel.send(MailboxFrame.register, id, body))
    if (answer !== 'done') throw new Error(`not registered: ${answer}`)
    streams.push(stream)
    recipients.push(account.name)
  }
  return { streams, recipients }
}

/** Leaves mail at the honest rate for so long; what was not answered by its end does not count. */
async function measure(pid: number, { streams, recipients }: Honest, ms: number): Promise<Outcome> {
  const delays: number[] = []
  let peakMb = 0
  const start = performance.now()
  const leave = async (n: number): Promise<void> => {
    const stream = streams[n % streams.length]
    const recipient = recipients[n % recipients.length]
    if (stream === undefined || recipient === undefined) return
    const begun = performance.now()
    if ((await depositTo(stream, recipient)) === 'done') delays.push(performance.now() - begun)
  }
  let sent = 0
  for (; performance.now() - start < ms; sent += 1) {
    void leave(sent)
    peakMb = Math.max(peakMb, residentMb(pid))
    await pause(Math.max(0, start + ((sent + 1) * 1_000) / HONEST_PER_SECOND - performance.now()))
  }
  return { sent, delays: [...delays], peakMb }
}

type Attack = {
  /** Ends it, and answers with how much it did. */
  stop(): Promise<number>
}

async function startFlood(
  kind: string,
  multiaddr: string,
  recipient: ServerName | undefined,
): Promise<Attack> {
  const child: ChildProcess = fork(
    join(import.meta.dirname, 'flooder.fixture.ts'),
    [kind, multiaddr, recipient ?? '', ATTACKER],
    { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] },
  )
  let done = 0
  child.stdout?.on('data', (chunk: Buffer) => {
    done = Number(chunk.toString().trim().split('\n').at(-1))
  })
  // It may be that nothing of it is let through.
  if (child.stdout !== null) await Promise.race([once(child.stdout, 'data'), pause(MOST_START_MS)])
  return {
    async stop() {
      const ended = once(child, 'close')
      child.kill('SIGKILL')
      await ended
      return done
    },
  }
}
