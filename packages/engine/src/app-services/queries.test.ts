import { parseRoomAlias, parseUserId, type RoomAlias, type ServerName, type UserId } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { CarrierError } from '../ports.ts'
import type { CallService } from './calls.ts'
import { ABSENT_MS, MAX_QUERIES, QUERY_PAUSE_MS, QUERY_TRIES, createQueries } from './queries.ts'
import { createAppServices } from './registry.ts'
import type { AppServiceQueries, AppServiceRegistration } from './types.ts'

const HERE = 'here.x' as ServerName
const alias = (name: string): RoomAlias => parseRoomAlias(`#${name}:here.x`) as RoomAlias
const user = (name: string, server: string = HERE): UserId => parseUserId(`@${name}:${server}`) as UserId

const registration = (id: string): AppServiceRegistration => {
  const space = [{ exclusive: false, matches: (text: string) => text.slice(1).startsWith(id) }]
  return {
    id,
    url: `http://${id}`,
    asToken: id,
    hsToken: id,
    senderLocalpart: `bot${id}`,
    receiveEphemeral: false,
    rateLimited: true,
    protocols: [],
    namespaces: { users: space, aliases: space, rooms: [] },
  }
}

type World = {
  readonly queries: AppServiceQueries
  /** `<service> <path>` */
  readonly asked: string[]
  answer: (asked: string) => Promise<number>
  readonly pass: (ms: number) => Promise<void>
}

const services = createAppServices([registration('a'), registration('ab')], HERE)

function world(): World {
  let now = 0
  let timers: { readonly at: number; readonly run: () => void }[] = []
  const call: CallService = async ({ id }, { path }) => {
    const one = `${id} ${path}`
    made.asked.push(one)
    return { status: await made.answer(one), body: '' }
  }
  const made: World = {
    queries: createQueries({
      call,
      clock: {
        now: () => now,
        after: (ms, run) => {
          timers.push({ at: now + ms, run })
          return () => undefined
        },
      },
      serverName: HERE,
      services: services.all,
      userExists: async (userId) => userId === user('abe'),
    }),
    asked: [],
    answer: async () => 404,
    async pass(ms) {
      now += ms
      const due = timers.filter(({ at }) => at <= now)
      timers = timers.filter(({ at }) => at > now)
      for (const { run } of due) run()
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
  return made
}

describe('queries of application services', () => {
  it('go to those that cover what is asked for, until one has it', async () => {
    const { queries, asked } = world()
    await queries.askForAlias(alias('abc'), undefined)
    await queries.askForAlias(alias('other'), undefined)
    expect(asked).toEqual(['a rooms/%23abc%3Ahere.x', 'ab rooms/%23abc%3Ahere.x'])
    const second = world()
    second.answer = async () => 200
    await second.queries.askForUser(user('abc'), undefined)
    expect(second.asked).toEqual(['a users/%40abc%3Ahere.x'])
  })

  it('are made for users of this server who are not there', async () => {
    const { queries, asked } = world()
    await queries.askForUser(user('abe'), undefined)
    await queries.askForUser(user('abc', 'there.x'), undefined)
    await queries.askForUser(user('zoe'), undefined)
    expect(asked).toEqual([])
  })

  it('are not made again soon for what nobody has', async () => {
    const { queries, asked, pass } = world()
    for (let count = 0; count < 3; count += 1) await queries.askForAlias(alias('axe'), undefined)
    expect(asked).toHaveLength(1)
    await pass(ABSENT_MS)
    await queries.askForAlias(alias('axe'), undefined)
    expect(asked).toHaveLength(2)
  })

  it('are one for all who wait for the same', async () => {
    const made = world()
    let release = (): void => undefined
    made.answer = () =>
      new Promise((resolve) => {
        release = () => resolve(200)
      })
    const waiting = Promise.all([1, 2, 3].map(() => made.queries.askForAlias(alias('axe'), undefined)))
    // The service that is being asked looks for it meanwhile, and another one that does not have it.
    for (const by of services.all) await made.queries.askForAlias(alias('axe'), by)
    release()
    await waiting
    expect(made.asked).toHaveLength(1)
  })

  it('leave out the service that asks', async () => {
    const { queries, asked } = world()
    await queries.askForAlias(alias('abc'), services.all[1])
    await queries.askForAlias(alias('axe'), services.all[0])
    expect(asked).toEqual(['a rooms/%23abc%3Ahere.x'])
  })

  it('are tried several times, and then fail', async () => {
    const made = world()
    made.answer = () => Promise.reject(new CarrierError('timeout', 'late'))
    const failed = made.queries.askForAlias(alias('axe'), undefined).catch((error: unknown) => error)
    for (let tries = 0; tries < QUERY_TRIES; tries += 1) await made.pass(QUERY_PAUSE_MS)
    expect(await failed).toMatchObject({ name: 'AppServiceError' })
    expect(made.asked).toHaveLength(QUERY_TRIES)
    // It may have come back: what failed is no answer.
    made.answer = async () => 200
    await made.queries.askForAlias(alias('axe'), undefined)
    expect(made.asked).toHaveLength(QUERY_TRIES + 1)
  })

  it('are bounded in number', async () => {
    const made = world()
    made.answer = () => new Promise(() => undefined)
    for (let count = 0; count < MAX_QUERIES; count += 1)
      void made.queries.askForAlias(alias(`axe${count}`), undefined)
    await made.queries.askForAlias(alias('axe'), undefined)
    expect(made.asked).toHaveLength(MAX_QUERIES)
  })
})
