/** What may come by mail, and that anything else leaves nothing. */
import type { JsonObject, ServerName } from '@plexus/core'
import type { Inbound } from '@plexus/engine'
import { StoreError, type EnvelopedRequest, type Federation, type MailHandler } from '@plexus/engine/ports'
import { createFederation, createMailHandler } from '@plexus/server-api'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { keysOf, createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { testSigner } from '../kit/keys.ts'

const DAY = 24 * 3_600_000
const INCARNATION = 'a'.repeat(22)

describe('mail', () => {
  let network: TestNetwork
  let bob: Member
  let handle: MailHandler
  let transaction: ReturnType<typeof vi.fn<Inbound['transaction']>>
  let isNext: ReturnType<typeof vi.fn<Inbound['isNext']>>

  beforeEach(async () => {
    network = await createTestNetwork(['bob'])
    ;[bob] = network.members as [Member]
    transaction = vi.fn<Inbound['transaction']>(async ({ pdus }) => ({
      pdus: Object.fromEntries(pdus.map(({ n }) => [JSON.stringify(n), {}])),
    }))
    isNext = vi.fn<Inbound['isNext']>(async () => true)
    handle = createMailHandler({ ...bob.node.engine, ...keysOf(1), inbound: { transaction, isNext } })
  })
  afterEach(() => network.close())

  const federationOf = (seed: number): Federation => {
    const carrier = { send: () => Promise.reject(new Error('nothing is sent')) }
    const deps = { carrier, signer: testSigner(seed), clock: network.clock }
    return createFederation(deps, { incarnation: INCARNATION })
  }
  type Part = Partial<Parameters<Federation['encloseTransaction']>[1]>
  let count = 0
  const mail = async (
    part: Part = {},
    seed = 2,
    ms = 30 * DAY,
    to = bob.node.name,
  ): Promise<EnvelopedRequest> => {
    count += 1
    const content = { txnId: `t${count}`, pdus: [], edus: [], ...part }
    const enveloped = await federationOf(seed).encloseTransaction(to, content, network.clock.now() + ms)
    return JSON.parse(JSON.stringify(enveloped)) as EnvelopedRequest
  }
  const edu = (n: number): JsonObject => ({ edu_type: 'm.direct_to_device', content: { n } })
  const kinds = async (...mails: EnvelopedRequest[]): Promise<readonly string[]> =>
    (await handle(mails)).map(({ kind }) => kind)

  it('is taken within thirty days', async () => {
    expect(await handle([await mail({ txnId: 'x', pdus: [{ n: 1 }] })])).toEqual([
      { kind: 'taken', origin: testSigner(2).name, incarnation: INCARNATION, txnId: 'x', isNews: true },
    ])
    expect(await kinds(await mail({}, 2, 30 * DAY + 600_000))).toEqual(['refused'])
    expect(await kinds(await mail({}, 2, -600_000))).toEqual(['refused'])
  })

  it('is no news if it only tells what came', async () => {
    const received = { incarnation: bob.node.engine.incarnation, committed: 3, transactions: { r: ['t1'] } }
    expect(await handle([await mail({ received })])).toMatchObject([{ kind: 'taken', isNews: false }])
    expect(transaction.mock.calls).toMatchObject([[{ received }]])
  })

  it('of one origin is taken in order and together, that of others beside it', async () => {
    const mails = [
      await mail({ pdus: [{ n: 1 }] }),
      await mail({ pdus: [{ n: 9 }] }, 3),
      await mail({ pdus: [{ n: 2 }] }),
      await mail({ edus: [edu(1)], sequence: 1 }),
      await mail({ edus: [edu(2), edu(3)], sequence: 3 }),
      await mail({ edus: [edu(7)], sequence: 7 }),
    ]
    expect(await kinds(...mails)).toEqual(Array.from({ length: 6 }, () => 'taken'))
    const calls = transaction.mock.calls.map(([{ origin, pdus, edus, ordered }]) => [
      origin,
      pdus.map(({ n }) => n),
      edus.map(({ content }) => (content as JsonObject)['n']),
      ordered?.sequence,
    ])
    const [own, other] = [testSigner(2).name, testSigner(3).name]
    expect(calls.filter(([origin]) => origin === own)).toEqual([
      [own, [1, 2], [], undefined],
      [own, [], [1, 2, 3], 3],
      [own, [], [7], 7],
    ])
    expect(calls.filter(([origin]) => origin === other)).toEqual([[other, [9], [], undefined]])
  })

  it('is offered once more, after that of others, when some of its events are not wanted', async () => {
    const offered: string[] = []
    transaction.mockImplementation(async ({ pdus }) => {
      offered.push(JSON.stringify(pdus[0]?.['n'] ?? null))
      const answers = { 1: {}, 2: { error: 'not in the room' } }
      return { pdus: pdus[0]?.['n'] === 1 ? answers : {} }
    })
    const mails = [
      await mail({ pdus: [{ n: 1 }, { n: 2 }] }),
      await mail({ pdus: [{ n: 3 }] }, 3),
      await mail({ edus: [edu(1)], sequence: 1 }, 4),
    ]
    expect(await kinds(...mails)).toEqual(['taken', 'taken', 'taken'])
    expect(offered.toSorted()).toEqual(['1', '1', '3', '3', 'null'])
    expect(offered.slice(-2).toSorted()).toEqual(['1', '3'])
  })

  it('ahead of other mail is taken if nothing before it is missing, and else left for its turn', async () => {
    isNext.mockImplementation(async ({ pdus }) => pdus[0]?.['n'] !== 2)
    transaction.mockImplementation(async ({ pdus }) => ({
      pdus: pdus[0]?.['n'] === 3 ? { 3: { error: 'no such room' } } : { 1: {} },
    }))
    const mails = [
      await mail({ pdus: [{ n: 1 }] }),
      await mail({ pdus: [{ n: 2 }] }),
      await mail({ pdus: [{ n: 3 }] }),
      { ...(await mail()), signature: 'A'.repeat(86) },
    ]
    const verdicts = await handle(mails, 'ahead')
    expect(verdicts.map(({ kind }) => kind)).toEqual(['taken', 'later', 'later', 'refused'])
    expect(transaction.mock.calls.map(([{ pdus }]) => pdus)).toEqual([[{ n: 1 }], [{ n: 3 }]])
    isNext.mockRejectedValue(new StoreError('full', 'no room'))
    expect(await handle(mails.slice(0, 1), 'ahead')).toEqual([{ kind: 'later' }])
  })

  it('takes events after the EDUs that were left before them', async () => {
    await handle([await mail({ edus: [edu(1)], sequence: 1 }), await mail({ pdus: [{ n: 1 }] })])
    expect(transaction.mock.calls.map(([{ pdus, edus }]) => [pdus.length, edus.length])).toEqual([
      [0, 1],
      [1, 0],
    ])
  })

  it('keeps to durable EDUs that are numbered', async () => {
    const typing = { edu_type: 'm.typing', content: {} }
    await handle([await mail({ edus: [edu(1)] }), await mail({ edus: [typing, edu(1)], sequence: 1 })])
    expect(transaction.mock.calls.map(([{ edus }]) => edus)).toEqual([[], [edu(1)]])
  })

  it('is refused when anything about it is wrong', async () => {
    const good = await mail()
    const { request, envelope } = good
    const get = { ...request, method: 'GET' as const, uri: '/_matrix/federation/v1/event/$x' }
    const wrong: readonly EnvelopedRequest[] = [
      { ...good, signature: 'A'.repeat(86) },
      { ...good, request: { ...request, content: { pdus: [{}] } } },
      { ...good, request: { ...request, origin: testSigner(3).name } },
      { ...good, request: { ...request, origin: 'example.org' as ServerName } },
      { ...good, request: get },
      { ...good, envelope: { ...envelope, expires: envelope.expires + 1 } },
      await mail({}, 2, DAY, testSigner(4).name),
      await mail({}, 1),
    ]
    expect(new Set(await kinds(...wrong))).toEqual(new Set(['refused']))
    expect(transaction).not.toHaveBeenCalled()
  })

  it('waits while the store takes nothing', async () => {
    transaction.mockRejectedValueOnce(new StoreError('full', 'no room'))
    expect(await kinds(await mail({ pdus: [{}] }))).toEqual(['later'])
  })

  it('waits when it is offered once more and the store takes nothing by then', async () => {
    transaction.mockResolvedValueOnce({ pdus: {} }).mockRejectedValueOnce(new StoreError('full', 'no room'))
    expect(await kinds(await mail({ pdus: [{ n: 1 }] }))).toEqual(['later'])
  })

  it('is tried again after a passing fault', async () => {
    const one = await mail({ pdus: [{ n: 1 }] })
    transaction.mockRejectedValueOnce(new Error('a fault'))
    expect(await kinds(one)).toEqual(['later'])
    expect(await kinds(one)).toEqual(['taken'])
  })

  const failing = (isBad: (n: unknown) => boolean) =>
    transaction.mockImplementation(async ({ pdus }) => {
      if (pdus.some(({ n }) => isBad(n))) throw new Error('a fault')
      return { pdus: Object.fromEntries(pdus.map(({ n }) => [JSON.stringify(n), {}])) }
    })

  it('is done with when it fails time and again, and takes nothing along that came with it', async () => {
    failing((n) => n === 2)
    const mails = [
      await mail({ pdus: [{ n: 1 }] }),
      await mail({ pdus: [{ n: 2 }] }),
      await mail({ pdus: [{ n: 3 }] }),
    ]
    for (let attempt = 1; attempt < 3; attempt += 1)
      expect(await kinds(...mails)).toEqual(['taken', 'later', 'taken'])
    expect(await kinds(...mails)).toEqual(['taken', 'refused', 'taken'])
    expect(await kinds(...mails)).toEqual(['taken', 'refused', 'taken'])
  })

  it('is done with at once where many failed before', async () => {
    failing(() => true)
    for (let n = 0; n < 20; n += 1) expect(await kinds(await mail({ pdus: [{}] }))).toEqual(['later'])
    expect(await kinds(await mail({ pdus: [{}] }))).toEqual(['refused'])
  })

  it('never rejects, whatever it is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), async (text) => {
        const any = JSON.parse(text) as EnvelopedRequest['request']
        const { envelope, signature } = await mail()
        const isObject = typeof any === 'object' && any !== null
        expect(await kinds({ request: isObject ? any : ({} as typeof any), envelope, signature })).toEqual([
          'refused',
        ])
      }),
      { numRuns: 50 },
    )
  })
})
