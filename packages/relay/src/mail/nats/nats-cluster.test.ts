import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import type { KeptMail } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import { natsClusterMissing, startNats, type NatsServers } from '../../testing/nats.ts'
import { createRecipient, sha256, type Recipient } from '../../testing/recipients.ts'
import type { MailStore } from '../mail-store.ts'
import { openNatsMailStore } from './nats-mail-store.ts'

const NOW = Date.UTC(2026, 0, 1)
const ROOMY = { mails: 100_000, bytes: 1_000_000_000 }
const RELAYS = 3
const RECIPIENTS = 12
/** Mails that each relay is given at once, and how many come before and after what happens to a server. */
const AT_ONCE = 16
const MORE = 300
/** Each takes a quarter of a minute, most of which the servers wait to choose who leads. */
const RUNS = Number(process.env['NATS_RUNS'] ?? 0)

const open = (servers: NatsServers): Promise<MailStore> =>
  openNatsMailStore(
    { log: { log: () => undefined }, now: () => NOW },
    { servers: servers.urls, maxBytes: 1_000_000_000 },
  )

/** Which server leads the stream of mail. */
async function leader({ urls }: NatsServers): Promise<number> {
  const connection = await connect({ servers: [...urls] })
  const { cluster } = await (await jetstreamManager(connection)).streams.info('plexus-mail')
  await connection.close()
  return Number(cluster?.leader?.slice(1))
}

async function allOf(store: MailStore, { name }: Recipient): Promise<readonly KeptMail[]> {
  const mails: KeptMail[] = []
  for (;;) {
    const more = await store.fetch(name, mails.at(-1)?.cursor ?? 0, { mails: 256, bytes: 1_000_000 })
    if (more.length === 0) return mails
    mails.push(...more)
  }
}

/** Writes from several relays at once until `isOver`; what it answers with was acknowledged, by recipient. */
function write(stores: readonly MailStore[], owners: readonly Recipient[]): Writing {
  const acknowledged = new Map<string, string[]>(owners.map(({ name }) => [name, []]))
  const writing = { acknowledged, count: 0, failed: 0, isOver: false, ended: Promise.resolve() }
  const lane = async (store: MailStore, number: number): Promise<void> => {
    for (let n = 0; !writing.isOver; n += 1) {
      const owner = owners[(number + n) % owners.length] as Recipient
      const text = `${number}/${n}`
      const mail = owner.mail(text.padEnd(2_000))
      const outcome = await store
        .deposit({ mail, hash: sha256(mail.bytes), quota: ROOMY, now: NOW })
        .catch(() => 'failed' as const)
      if (outcome === 'kept' || outcome === 'known') {
        acknowledged.get(owner.name)?.push(text)
        writing.count += 1
      } else writing.failed += 1
    }
  }
  const lanes = stores.flatMap((store, relay) =>
    Array.from({ length: AT_ONCE }, (_, n) => lane(store, relay * AT_ONCE + n)),
  )
  writing.ended = Promise.all(lanes).then(() => undefined)
  return writing
}

type Writing = {
  readonly acknowledged: ReadonlyMap<string, readonly string[]>
  count: number
  failed: number
  isOver: boolean
  ended: Promise<void>
}

const why = RUNS === 0 ? ' (skipped: NATS_RUNS=1 runs it)' : natsClusterMissing

describe.skipIf(why !== '')(`a NATS cluster of three${why}`, { timeout: 120_000 }, () => {
  it.each(Array.from({ length: Math.max(RUNS, 1) }, (_, run) => run))(
    'loses no mail that was acknowledged, and takes more, when a server is killed under load: run %i',
    async (run) => {
      await using servers = await startNats(3)
      const stores = await Promise.all(Array.from({ length: RELAYS }, () => open(servers)))
      const owners = Array.from({ length: RECIPIENTS }, () => createRecipient(NOW))
      for (const owner of owners) await stores[0]?.register(owner.mailbox(), 100)
      for (const store of stores)
        await expect.poll(async () => (await store.totals()).mailboxes).toBe(RECIPIENTS)
      const writing = write(stores, owners)
      const more = async (): Promise<void> => {
        const goal = writing.count + MORE
        await expect.poll(() => writing.count, { timeout: 60_000 }).toBeGreaterThan(goal)
      }
      await more()
      // The one that leads, or another; and now and then its disk is lost with it.
      const victim = ((await leader(servers)) + (run % 2)) % 3
      await servers.kill(victim)
      await more()
      await servers.start(victim, { isEmpty: run % 3 === 2 })
      await more()
      writing.isOver = true
      await writing.ended
      expect(writing.failed).toBe(0)
      for (const store of stores) await store[Symbol.asyncDispose]()

      await using store = await open(servers)
      for (const owner of owners) {
        const there = (await allOf(store, owner)).map(({ mail }) =>
          new TextDecoder().decode(mail.bytes).trim(),
        )
        expect(new Set(there).size).toBe(there.length)
        const lost = writing.acknowledged.get(owner.name)?.filter((text) => !there.includes(text))
        expect(lost).toEqual([])
      }
    },
  )
})
