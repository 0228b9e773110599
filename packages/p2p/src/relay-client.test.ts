import type { ServerName } from '@plexus/core'
import { beforeAll, describe, expect, it } from 'vitest'
import { createRelayClient, MAX_RELAY_QUESTIONS, RELAY_ANSWER_MS } from './relay-client.ts'
import { createAccount, silentLog, type TestAccount } from './testing/accounts.ts'
import { createStreamPair } from './testing/stream-pair.ts'
import { createVirtualClock } from './testing/virtual-clock.ts'
import { createFrameReader, encodeFrame, type Frame } from './wire/frame.ts'
import { MAX_NAMES_PER_FRAME, MAX_WATCHED_NAMES } from './wire/limits.ts'
import { decodeNames, encodeEntry, RelayFrame as K, RelayRefusal } from './wire/relay.ts'

const NOW = Date.UTC(2026, 0, 1)
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

let friend: TestAccount
beforeAll(async () => {
  friend = await createAccount()
})

/** A client of a relay that says only what the test says. */
function start() {
  const clock = createVirtualClock(NOW)
  const [near, far] = createStreamPair()
  const got: Frame[] = []
  const appeared: ServerName[] = []
  const reasons: string[] = []
  const reader = createFrameReader()
  far.addEventListener('message', ({ data }) => {
    got.push(...reader.push(data instanceof Uint8Array ? data : data.subarray()).frames)
  })
  const client = createRelayClient(
    {
      clock,
      log: silentLog,
      appeared: ({ name }) => appeared.push(name),
      closed: (reason) => reasons.push(reason),
    },
    near,
  )
  const say = async (kind: number, id: number, body: Uint8Array = new Uint8Array(0)): Promise<void> => {
    far.send(encodeFrame(kind, id, body))
    await settle()
  }
  const asked = (kind: number): Frame[] => got.filter((frame) => frame.kind === kind)
  return { client, clock, got, appeared, reasons, say, asked }
}

const entry = (): Uint8Array => encodeEntry({ name: friend.name, devices: [friend.certify(NOW)] })
const nameAt = (n: number): ServerName => `n${n}.example` as ServerName

describe('a relay client', () => {
  it('gets the answer to its question', async () => {
    const { client, say, asked } = start()
    const answer = client.lookup([friend.name])
    await settle()
    const id = asked(K.lookup)[0]?.id ?? 0
    await say(K.entry, id, entry())
    await say(K.done, id)
    expect(await answer).toMatchObject([
      { name: friend.name, devices: [{ certificate: { peerId: friend.peerId } }] },
    ])
  })

  it('is told when its certificate is refused', async () => {
    const { client, say, asked } = start()
    const answer = expect(client.register(friend.certify(NOW))).rejects.toMatchObject({ code: 'refused' })
    await settle()
    await say(K.refuse, asked(K.register)[0]?.id ?? 0, Uint8Array.of(RelayRefusal.badCertificate))
    await answer
  })

  it('waits so long for an answer, and keeps so many questions', async () => {
    const { client, clock } = start()
    const outcomes: unknown[] = []
    for (let n = 0; n < MAX_RELAY_QUESTIONS + 3; n += 1)
      client.lookup([nameAt(n)]).catch((error: unknown) => outcomes.push(error))
    await settle()
    expect(outcomes).toHaveLength(3)
    clock.advance(RELAY_ANSWER_MS)
    await settle()
    expect(outcomes).toHaveLength(MAX_RELAY_QUESTIONS + 3)
    expect(outcomes.at(-1)).toMatchObject({ code: 'timeout' })
  })

  it('leaves a relay that gives more entries than were asked for', async () => {
    const { client, say, asked, reasons } = start()
    const answer = expect(client.lookup([friend.name])).rejects.toMatchObject({ code: 'unreachable' })
    await settle()
    const id = asked(K.lookup)[0]?.id ?? 0
    for (let n = 0; n < 2; n += 1) await say(K.entry, id, entry())
    await answer
    expect(reasons).toEqual(['more answers than were asked for'])
  })

  it.each([
    ['an entry that is none', K.entry, Uint8Array.of(1)],
    ['a kind that there is not', 77, new Uint8Array(0)],
  ])('leaves a relay that sends %s', async (_what, kind, body) => {
    const { say, reasons } = start()
    await say(kind, 0, body)
    expect(reasons).toHaveLength(1)
  })

  it('watches so many names, in frames of a bounded length', async () => {
    const { client, asked } = start()
    client.watch(new Set(Array.from({ length: MAX_WATCHED_NAMES + 10 }, (_, n) => nameAt(n))))
    await settle()
    const lists = asked(K.watch).map(({ body }) => decodeNames(body)?.length ?? 0)
    expect(Math.max(...lists)).toBe(MAX_NAMES_PER_FRAME)
    expect(lists.reduce((sum, length) => sum + length, 0)).toBe(MAX_WATCHED_NAMES)
  })

  it('tells of what it watches only', async () => {
    const { client, say, appeared, asked } = start()
    await say(K.entry, 0, entry())
    client.watch(new Set([friend.name]))
    await say(K.entry, 0, entry())
    client.watch(new Set())
    await say(K.entry, 0, entry())
    expect(appeared).toEqual([friend.name])
    expect(asked(K.unwatch)).toHaveLength(1)
  })
})
