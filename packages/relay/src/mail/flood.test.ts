/** Floods of other addresses than that of honest mail, which goes on at half its rate or more while they last. */
import { encodeCursor, MailboxFrame as K, type MailAccess } from '@plexus/p2p/wire'
import { describe, expect, it } from 'vitest'
import {
  clock,
  NOW,
  owner,
  registration,
  service,
  start,
  useMailService,
  visit,
} from '../testing/mail-world.ts'
import { createRecipient, deviceAt } from '../testing/recipients.ts'

useMailService()

/** Rounds of a second each, honest mails in one, and what each of the flooding streams does in one. */
const ROUNDS = 6
const HONEST = 20
const FLOODERS = 6
const EACH = 100

type Visitor = ReturnType<typeof visit>
type Answer = Awaited<ReturnType<Visitor['leave']>>
type Act = (visitor: Visitor, n: number) => Promise<Answer>

const text = new TextEncoder()
const stranger = createRecipient(NOW)
const foreign = registration(deviceAt(0), undefined, {}, stranger)
const proof: MailAccess = { proof: { day: 0, nonce: 0 } }
const claim = text.encode(JSON.stringify({ recipient: owner.name, user: `@a:${owner.name}`, devices: ['A'] }))

const FLOODS: readonly [readonly [string, Act], ...(readonly [string, Act])[]] = [
  ['deposits', ({ leave }, n) => leave(owner.mail('', { bytes: new Uint8Array(8_192).fill(n) }))],
  ['deposits with a wrong key', ({ leave }, n) => leave(owner.mail(`x${n}`), { accessKey: 'A'.repeat(43) })],
  ['deposits of strangers', ({ leave }, n) => leave(owner.mail(`y${n}`, { lane: 'strangers' }), proof)],
  ['deposits for nobody', ({ leave }, n) => leave(stranger.mail(`z${n}`))],
  ['registrations', ({ ask }) => ask(K.register, foreign)],
  ['oversized records', ({ ask }) => ask(K.register, new Uint8Array(65_000).fill(0x7b))],
  ['claims', ({ ask }) => ask(K.ask, claim)],
  ['fetches', ({ ask }) => ask(K.fetch, encodeCursor(0))],
]

/** How many honest mails are on disk, while others flood from `addressOf`. */
async function countHonest(act: Act, addressOf: (n: number) => string | undefined): Promise<number> {
  const flooders = Array.from({ length: FLOODERS }, (_, n) => visit(deviceAt(n), addressOf(n)))
  const honest = visit()
  let done = 0
  let number = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let n = 0; n < EACH; n += 1) for (const flooder of flooders) void act(flooder, (number += 1))
    const mails = Array.from({ length: HONEST }, (_, n) => honest.leave(owner.mail(`${round} ${n}`)))
    for (const mail of mails) void mail.then((answer) => (done += Number(answer === 'done')))
    await Promise.all(mails)
    clock.advance(1_000)
  }
  return done
}

describe('a flood of', () => {
  it.each(FLOODS)('%s leaves honest mail at half its rate or more', async (_what, act) => {
    start()
    const done = await countHonest(act, (n) => `/ip4/198.51.100.${n}/tcp/1`)
    expect(done).toBeGreaterThanOrEqual((ROUNDS * HONEST) / 2)
  })

  it('deposits takes the rate of the address that it comes from', async () => {
    start({ depositBurst: 1_000 })
    const [[, deposits]] = FLOODS
    expect(await countHonest(deposits, () => undefined)).toBeLessThan((ROUNDS * HONEST) / 2)
  })

  it('streams leaves its place to others', async () => {
    start()
    const idle = Array.from({ length: 500 }, (_, n) =>
      visit(deviceAt(n % 50), `/ip4/198.51.100.${n % 250}/tcp/1`),
    )
    expect(await visit().leave(owner.mail('a'))).toBe('done')
    expect(service.counts().sessions).toBe(idle.length + 1)
  })
})
