/**
 * SIGKILL of a relay while mail is left and fetched: what it acknowledged is there after its restart, once, in an order that rises.
 * `CRASH_RUNS=100` kills it as often, `CRASH_SEED` at other moments.
 */
import { encodeBase64 } from '@plexus/core'
import { accountRecords, type AccountRecord, type SignedAccountRecord } from '@plexus/core/names'
import type { KeptMail, SealedMail } from '@plexus/engine/ports'
import { createHash } from 'node:crypto'
import { afterAll, describe, expect, it } from 'vitest'
import { startMailRelay, type MailRelayProcess } from '../kit/mail-relay-process.ts'
import { eventually, newAccount, startNode, temporaryFolder, type TestNode } from '../kit/p2p.ts'
import { createSeededRandom } from '../kit/seeded-random.ts'
import { generateTransportKey, peerIdOfKey } from '@plexus/p2p'

const ROUNDS = Number(process.env['CRASH_RUNS'] ?? 2)
/** Of a busy machine. */
const MOST_MS_OF_ROUND = 30_000
const MOST_MAILS_BEFORE_KILL = 200
const WRITERS = 32
const DAY_MS = 24 * 3_600_000
const KEY = new Uint8Array(32).fill(7)
const ACCESS = { key: encodeBase64(KEY), hash: encodeBase64(createHash('sha256').update(KEY).digest()) }

const random = createSeededRandom(Number(process.env['CRASH_SEED'] ?? 1))
const account = newAccount()
const cleanups: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean()
})

const textOf = ({ mail }: KeptMail): string => new TextDecoder().decode(mail.bytes)

function mailOf(text: string): SealedMail {
  const bytes = new TextEncoder().encode(text)
  return { recipient: account.name, lane: 'keys', keyId: 'k1', expires: Date.now() + DAY_MS, bytes }
}

/** The record that the relay has from the first start on. */
function recordOf(device: string): SignedAccountRecord {
  const record: AccountRecord = {
    name: account.name,
    sequence: 1,
    expires: Date.now() + 60 * DAY_MS,
    mailboxes: [],
    devices: [device],
    sealingKeys: [{ id: 'k1', publicKey: ACCESS.key, expires: Date.now() + 30 * DAY_MS }],
  }
  return { record, signature: encodeBase64(account.sign(accountRecords.bytes(record))) }
}

/** The owner's device, registered at the relay. */
async function ownerAt(
  { address }: MailRelayProcess,
  transportKey: Uint8Array,
  record: SignedAccountRecord,
): Promise<TestNode> {
  const owner = await startNode({ relays: address.multiaddrs, account, transportKey })
  const isThere = (): boolean => owner.events.some(({ kind }) => kind === 'mail')
  await eventually(isThere, 'mailboxes connected', MOST_MS_OF_ROUND)
  await owner.node.mailboxes.register(address.peerId, { record, accessKeyHash: ACCESS.hash })
  return owner
}

describe('a relay that is killed under load', () => {
  it(
    `keeps what it acknowledged in ${ROUNDS} rounds`,
    { timeout: 60_000 + ROUNDS * MOST_MS_OF_ROUND },
    async () => {
      const folder = await temporaryFolder()
      cleanups.push(() => folder.remove())
      const transportKey = await generateTransportKey()
      const record = recordOf(peerIdOfKey(transportKey))
      const sender = await startNode()
      cleanups.push(async () => sender.node[Symbol.asyncDispose]())
      const left = new Set<string>()
      const got: string[] = []
      let next = 0
      let cursor = 0

      const fetchSome = async ({ node }: TestNode, relay: string): Promise<boolean> => {
        const mails = await node.mailboxes.fetch(relay, cursor)
        for (const kept of mails) {
          expect(kept.cursor).toBeGreaterThan(cursor)
          cursor = kept.cursor
          got.push(textOf(kept))
        }
        if (mails.length > 0) await node.mailboxes.acknowledge(relay, cursor)
        return mails.length > 0
      }

      for (let round = 0; round <= ROUNDS; round += 1) {
        await using relay = await startMailRelay(folder.path)
        const { peerId } = relay.address
        const owner = await ownerAt(relay, transportKey, record)
        if (round === ROUNDS) {
          while (await fetchSome(owner, peerId));
          await owner.node[Symbol.asyncDispose]()
          break
        }
        const until = left.size + 1 + random.below(MOST_MAILS_BEFORE_KILL)
        let isDead = false
        const write = async (): Promise<void> => {
          while (!isDead) {
            const text = `mail ${(next += 1)}`
            await sender.node.mailboxes.deposit(relay.address, mailOf(text), ACCESS.key)
            left.add(text)
            isDead ||= left.size >= until
          }
        }
        const read = async (): Promise<void> => {
          while (!isDead) await fetchSome(owner, peerId)
        }
        const work = Promise.allSettled([...Array.from({ length: WRITERS }, write), read()])
        await eventually(() => isDead, 'enough is left', MOST_MS_OF_ROUND)
        expect(await relay.kill()).toBe('SIGKILL')
        await work
        await owner.node[Symbol.asyncDispose]()
      }
      expect([...left].filter((text) => !got.includes(text))).toEqual([])
      expect(got).toHaveLength(new Set(got).size)
      expect(left.size).toBeGreaterThan(ROUNDS)
    },
  )
})
