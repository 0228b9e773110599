import { join } from 'node:path'
import { encodeBase64 } from '@plexus/core'
import {
  encodeCursor,
  encodeRegistration,
  MailboxFrame as K,
  MAX_DEVICES_PER_NAME,
  MAX_LAST_MAILS,
  WRITE_HIGH_WATER,
} from '@plexus/p2p/wire'
import { describe, expect, it } from 'vitest'
import { MAILS_PER_NAME_AT_ONCE, REGISTRATION_RATE_COST } from '../limits.ts'
import {
  clock,
  folder,
  lines,
  NOW,
  owner,
  registered,
  registration,
  start,
  store,
  turn,
  useMailService,
  visit,
} from '../testing/mail-world.ts'
import { ACCESS_HASH, createRecipient, deviceAt } from '../testing/recipients.ts'
import { openSqliteMailStore } from './sqlite-mail-store.ts'

useMailService()

describe('the owner of a mailbox', () => {
  it.each([
    ['token', { mode: 'token', token: 'let me in please' }, 'let me in please', 'done'],
    ['another token', { mode: 'token', token: 'let me in please' }, 'let me in', 'not-allowed'],
    ['no token', { mode: 'token', token: 'let me in please' }, undefined, 'not-allowed'],
    ['a place on the list', { mode: 'list', names: new Set([owner.name]) }, undefined, 'done'],
    ['no place on the list', { mode: 'list', names: new Set<string>() }, undefined, 'not-allowed'],
  ] as const)('registers with %s', async (_what, mode, token, answer) => {
    const fresh = openSqliteMailStore(join(folder, 'fresh.db'), { maxBytes: 10_000_000 })
    start(
      { registration: mode },
      {
        mailbox: (name) => fresh.mailbox(name),
        register: (mailbox, most) => fresh.register(mailbox, most),
      },
    )
    expect(await visit(deviceAt(0)).ask(K.register, registration(deviceAt(0), token))).toBe(answer)
    // Others can find it then while it sleeps.
    expect(registered).toEqual(answer === 'done' ? [owner.record()] : [])
    await fresh[Symbol.asyncDispose]()
  })

  it('is a device of the record with a certificate that lasts', async () => {
    start()
    const soon = registration(deviceAt(0), undefined, { expires: clock.now() + 1_000 })
    const [mine, other] = [visit(deviceAt(0)), visit(deviceAt(1))]
    expect(await other.ask(K.register, soon)).toBe('not-allowed')
    expect(await mine.ask(K.register, soon)).toBe('done')
    expect(await mine.ask(K.fetch, encodeCursor(0))).toBe('done')
    clock.advance(1_000)
    expect(await mine.ask(K.fetch, encodeCursor(0))).toBe('not-allowed')
    expect(await mine.ask(K.acknowledge, encodeCursor(9))).toBe('not-allowed')
    expect(await visit(deviceAt(4)).ask(K.register, registration(deviceAt(4)))).toBe('not-allowed')
  })

  it('needs no token again', async () => {
    start({ registration: { mode: 'token', token: 'let me in please' } })
    expect(await visit(deviceAt(0)).ask(K.register, registration(deviceAt(0)))).toBe('done')
  })

  it('is one name on one stream, by a record of that name', async () => {
    start()
    const other = createRecipient(NOW)
    const certificate = other.certify(deviceAt(0))
    const accessKeyHash = encodeBase64(ACCESS_HASH)
    const foreign = encodeRegistration({ certificate, record: owner.record(), accessKeyHash })
    expect(await visit(deviceAt(0)).ask(K.register, foreign)).toBe('not-allowed')
    const mine = visit(deviceAt(0))
    expect(await mine.ask(K.register, registration(deviceAt(0)))).toBe('done')
    const second = encodeRegistration({ certificate, record: other.record(), accessKeyHash })
    expect(await mine.ask(K.register, second)).toBe('not-allowed')
  })

  it('has so many streams', async () => {
    start()
    const answers: string[] = []
    for (let n = 0; n <= MAX_DEVICES_PER_NAME; n += 1)
      answers.push(await visit(deviceAt(0)).ask(K.register, registration(deviceAt(0))))
    expect(answers.pop()).toBe('quota')
    expect(new Set(answers)).toEqual(new Set(['done']))
  })

  it('is no more a device that a record from elsewhere leaves out', async () => {
    start()
    const mine = visit(deviceAt(0))
    await mine.ask(K.register, registration(deviceAt(0)))
    await store.register(owner.mailbox({ sequence: 2, devices: [deviceAt(1)] }), 100)
    expect(await mine.ask(K.fetch, encodeCursor(0))).toBe('not-allowed')
    expect(await mine.ask(K.acknowledge, encodeCursor(0))).toBe('not-allowed')
  })

  it('registers at the rate of its address', async () => {
    start({ depositsPerSecond: 1, depositBurst: 2 * REGISTRATION_RATE_COST })
    const answers: string[] = []
    for (let n = 0; n < 3; n += 1)
      answers.push(await visit(deviceAt(0)).ask(K.register, registration(deviceAt(0))))
    expect(answers).toEqual(['done', 'done', 'too-fast'])
  })

  it('makes few mailboxes from one address, whatever names it has', async () => {
    start({ depositBurst: 2 * MAILS_PER_NAME_AT_ONCE })
    const newcomer = (address?: string): Promise<unknown> => {
      const mailbox = registration(deviceAt(0), undefined, {}, createRecipient(NOW))
      return visit(deviceAt(0), address).ask(K.register, mailbox)
    }
    const answers = [await newcomer(), await newcomer(), await newcomer()]
    expect(answers).toEqual(['done', 'done', 'too-fast'])
    expect(await newcomer('/ip4/198.51.100.7/tcp/4001')).toBe('done')
    // Who has one is not in the way of itself.
    expect(await visit(deviceAt(0)).ask(K.register, registration(deviceAt(0)))).toBe('done')
    clock.advance(60_000)
    expect(await newcomer()).toBe('done')
  })

  it('is told once of mail until it fetches', async () => {
    start()
    const mine = visit(deviceAt(0))
    await mine.ask(K.register, registration(deviceAt(0)))
    const told = (): number => mine.got.filter(({ kind }) => kind === K.announce).length
    const { leave } = visit()
    await leave(owner.mail('a'))
    await leave(owner.mail('b'))
    await leave(owner.mail('a'))
    expect(told()).toBe(1)
    await mine.ask(K.fetch, encodeCursor(0))
    await leave(owner.mail('b'))
    expect(told()).toBe(1)
    await leave(owner.mail('c'))
    expect(told()).toBe(2)
  })

  it('gets a few of what came last where it asks for that', async () => {
    start()
    const { leave } = visit()
    const texts = Array.from({ length: MAX_LAST_MAILS + 3 }, (_, n) => `${n}`)
    for (const text of texts) await leave(owner.mail(text))
    const mine = visit(deviceAt(0))
    expect(await mine.ask(K.fetchLast, encodeCursor(0))).toBe('not-allowed')
    await mine.ask(K.register, registration(deviceAt(0)))
    expect(await mine.ask(K.fetchLast, encodeCursor(0))).toBe('done')
    const bodies = mine.got.filter(({ kind }) => kind === K.mail).map(({ body }) => body)
    const ends = bodies.map((body) => new TextDecoder().decode(body).match(/\d+$/)?.[0])
    expect(ends).toEqual(texts.slice(3))
  })

  it('is told of nothing once its certificate is over, and of what came when it has another', async () => {
    start()
    const mine = visit(deviceAt(0))
    await mine.ask(K.register, registration(deviceAt(0), undefined, { expires: clock.now() + 1_000 }))
    clock.advance(1_000)
    await visit().leave(owner.mail('late'))
    const told = (): number => mine.got.filter(({ kind }) => kind === K.announce).length
    expect(told()).toBe(0)
    await mine.ask(K.register, registration(deviceAt(0)))
    expect(told()).toBe(1)
  })

  it('that does not read gets one answer, and no second one before it does', async () => {
    start()
    const mine = visit(deviceAt(0))
    await mine.ask(K.register, registration(deviceAt(0)))
    await visit().leave(owner.mail('a'))
    await mine.ask(K.fetch, encodeCursor(0))
    mine.far.writeBufferLength = WRITE_HIGH_WATER
    const second = mine.ask(K.fetch, encodeCursor(0))
    await turn()
    const third = mine.ask(K.fetch, encodeCursor(0))
    await turn()
    const mails = (): number => mine.got.filter(({ kind }) => kind === K.mail).length
    expect(await third).toBe('too-fast')
    expect(mails()).toBe(1)
    mine.far.writeBufferLength = 0
    mine.far.emit('drain', undefined)
    expect(await second).toBe('done')
    expect(mails()).toBe(2)
  })

  it('is named in no line of the log', async () => {
    start()
    await visit(deviceAt(3)).ask(K.register, registration(deviceAt(0)))
    await visit(deviceAt(0)).ask(K.register, registration(deviceAt(0)))
    await visit().leave(owner.mail('a'))
    expect(lines).not.toHaveLength(0)
    expect(lines.join('')).not.toContain(owner.name)
  })
})
