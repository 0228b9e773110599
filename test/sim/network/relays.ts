/** Relays of a run: mail takes its time on the way there, and one of them lies about all that it keeps. */
import type { ServerName } from '@plexus/core'
import type { Clock, KeptMail, Mailboxes } from '@plexus/engine/ports'
import { DEFAULT_MAIL_POLICY } from '@plexus/relay/mail-policy'
import { createFakeRelays, type FakeRelay, type FakeRelays, type Lie } from '../../kit/mail-relay.ts'
import type { SeededRandom } from '../../kit/seeded-random.ts'
import type { Traffic } from './traffic.ts'

/** Of which the first ones lie. All that a record names. */
const RELAYS = 4
/** Milliseconds to a relay and back. */
const MAX_ROUND_TRIP_MS = 200

export type RelaysInit = {
  readonly clock: Clock
  readonly random: SeededRandom
  /** How many lie. */
  readonly liars: number
  /** How; in all ways by turns if absent. */
  readonly lie?: Lie | undefined
  readonly traffic: () => Pick<Traffic, 'mail'>
}

export type Relays = {
  readonly relays: FakeRelays
  readonly honest: readonly FakeRelay[]
  /** Answers of relays that were lies. */
  readonly lies: number
}

const LIES: readonly Lie[] = [
  () => [],
  (mails) => mails.flatMap((kept) => [kept, kept]),
  (mails) => mails.toReversed().map(({ mail }, index) => ({ cursor: (mails[0]?.cursor ?? 0) + index, mail })),
  (mails) => mails.map((kept, index) => withBytes(kept, mails[(index + 1) % mails.length] ?? kept)),
  (mails) =>
    mails.map((kept) => ({ ...kept, mail: { ...kept.mail, bytes: kept.mail.bytes.subarray(0, 1_000) } })),
]

function withBytes(kept: KeptMail, { mail }: KeptMail): KeptMail {
  return { ...kept, mail: { ...kept.mail, bytes: mail.bytes } }
}

export function createRelays({ clock, random, liars, lie, traffic }: RelaysInit): Relays {
  const fake = createFakeRelays({ ...DEFAULT_MAIL_POLICY, clock })
  let lies = 0
  const all = Array.from({ length: RELAYS }, () => fake.add())
  for (const relay of all.slice(0, liars)) {
    relay.lie = (mails) => {
      if (mails.length === 0) return mails
      lies += 1
      return (lie ?? LIES[random.below(LIES.length)])?.(mails) ?? mails
    }
  }
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      clock.after(random.below(MAX_ROUND_TRIP_MS), resolve)
    })

  const slow = (name: ServerName, near: Mailboxes): Mailboxes => ({
    relays: () => near.relays(),
    async register(...given) {
      await pause()
      await near.register(...given)
    },
    async fetch(...given) {
      await pause()
      const mails = await near.fetch(...given)
      for (const { mail } of mails) traffic().mail(name, 'down', mail.bytes.length)
      return mails
    },
    async acknowledge(...given) {
      await pause()
      await near.acknowledge(...given)
    },
    async deposit(mailbox, mail, accessKey) {
      await pause()
      traffic().mail(name, 'up', mail.bytes.length)
      return near.deposit(mailbox, mail, accessKey)
    },
    async stock(...given) {
      await pause()
      return near.stock(...given)
    },
    async ask(...given) {
      await pause()
      return near.ask(...given)
    },
  })

  return {
    relays: {
      ...fake,
      mailboxes: (name, arrived, hasEnded) =>
        slow(
          name,
          fake.mailboxes(name, (relay) => void pause().then(() => arrived(relay)), hasEnded),
        ),
    },
    honest: all.slice(liars),
    get lies() {
      return lies
    },
  }
}
