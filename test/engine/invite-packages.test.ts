/** What comes with an invite by mail finds a place, whoever else wants one. */
import type { JsonObject, RoomId, ServerName } from '@plexus/core'
import type { Write } from '@plexus/engine/ports'
import {
  earlyEvents,
  MAX_ALL_EARLY_EVENTS,
  MAX_EARLY_EVENTS,
  MAX_PACKAGES,
  MAX_PACKAGES_OF_SERVER,
  PACKAGE_LIFETIME_MS,
} from '@plexus/engine/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FakeRelays } from '../kit/mail-relay.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { contactKit, inviteEdu } from './contact-kit.ts'
import { createMailNetwork, MINUTE } from './mail-kit.ts'

describe('an invite package', () => {
  let network: TestNetwork
  let relays: FakeRelays
  let alice: Member
  let bob: Member
  let carol: Member
  let roomId: RoomId
  /** What Alice mails to Bob, who has not fetched it. */
  let mailed: JsonObject

  const { mailInvite, rowsOf, invitesOf, tell } = contactKit(() => ({ network, relays }))

  beforeEach(async () => {
    const made = await createMailNetwork(['alice', 'bob', 'carol'], 1)
    ;({ network, relays } = made)
    ;[alice, bob, carol] = network.members as [Member, Member, Member]
    await network.pass(3_000)
    ;({ roomId, mailed } = await mailInvite(alice, bob))
    for (const relay of made.all) relay.lie = () => []
  })
  afterEach(() => network.close())

  const write = (writes: readonly Write[]) => bob.node.engine.committer.submit({ writes: () => writes })
  const rows = (map: string) => bob.node.store.range(map, '', '\u00ff')
  /** By room: the server whose invite it is. */
  const packages = async (): Promise<ReadonlyMap<string, string>> =>
    new Map(
      (await rows('invite-package')).map(([key, value]) => {
        const { origin } = JSON.parse(value) as { origin: string }
        return [key.split('\u0001')[0] ?? '', origin]
      }),
    )
  /** Rooms `!from` to `!to` with what Bob has of Alice's, each a minute younger than the one before. */
  const copies = async (
    map: string,
    [from, to]: readonly [number, number],
    changeOf: (n: number) => Record<string, unknown>,
  ): Promise<readonly Write[]> => {
    const [[key, value] = ['', '{}']] = (await rows(map)).filter(([each]) => each.includes(roomId))
    return Array.from({ length: to - from }, (_, n) => ({
      map,
      key: key.replace(roomId, `!${from + n}:example.org`),
      value: JSON.stringify({ ...(JSON.parse(value) as JsonObject), ...changeOf(from + n) }),
    }))
  }
  /** Bob has these, whose invites wait or were answered, and nothing of Alice's. */
  const fill = async (
    range: readonly [number, number],
    originOf: (n: number) => string,
    membership = 'invite',
  ): Promise<void> => {
    await tell(bob, alice, inviteEdu(mailed))
    const now = network.clock.now()
    const filled = await copies('invite-package', range, (n) => ({
      origin: originOf(n),
      at: now - (1_000 - n) * MINUTE,
    }))
    const invites = await copies('membership', range, () => ({ membership }))
    const own = (await rows('invite-package')).map(([key]) => ({
      map: 'invite-package',
      key,
      value: undefined,
    }))
    await write([...own, ...filled, ...invites])
  }
  const room = (n: number): string => `!${n}:example.org`

  it('where few who know each other fill all: the oldest of who has most goes', async () => {
    await fill([0, MAX_PACKAGES], (n) => (n < 3 ? carol.node.name : `s${n % 12}.example.org`))
    await tell(bob, alice, inviteEdu(mailed), 2)
    const kept = await packages()
    expect(kept.size).toBe(MAX_PACKAGES)
    expect(kept.get(roomId)).toBe(alice.node.name)
    // Twelve servers have four each at most: the first of those.
    expect(Array.from({ length: MAX_PACKAGES }, (_, n) => n).filter((n) => !kept.has(room(n)))).toEqual([3])
  })

  it('beside others of its server: the oldest of these goes', async () => {
    await fill([0, MAX_PACKAGES_OF_SERVER], () => alice.node.name)
    await tell(bob, alice, inviteEdu(mailed), 2)
    const kept = await packages()
    expect([kept.size, kept.has(room(0)), kept.has(roomId)]).toEqual([MAX_PACKAGES_OF_SERVER, false, true])
  })

  it('first where invites were answered', async () => {
    await fill([0, MAX_PACKAGES], () => carol.node.name, 'leave')
    await tell(bob, alice, inviteEdu(mailed), 2)
    expect([...(await packages()).keys()]).toEqual([roomId])
  })

  it('where others have expired, with what was told of their rooms', async () => {
    await fill([0, 3], () => alice.node.name)
    await bob.node.engine.inbound.transaction({
      origin: alice.node.name,
      pdus: [{ type: 'm.room.message', room_id: room(1), depth: 1 }],
      edus: [],
    })
    expect(await rowsOf(bob, 'early-event')).toBe(1)
    const age = (ages: readonly number[]): Promise<unknown> =>
      rows('invite-package').then((all) =>
        write(
          all.map(([key, value], n) => {
            const at = network.clock.now() - (ages[n] ?? 0)
            return { map: 'invite-package', key, value: JSON.stringify({ ...JSON.parse(value), at }) }
          }),
        ),
      )
    await age([PACKAGE_LIFETIME_MS + 1, PACKAGE_LIFETIME_MS + 1, PACKAGE_LIFETIME_MS - MINUTE])
    await tell(bob, alice, inviteEdu(mailed), 2)
    expect([...(await packages()).keys()].toSorted()).toEqual([roomId, room(2)].toSorted())
    expect(await rowsOf(bob, 'early-event')).toBe(0)
    await age([PACKAGE_LIFETIME_MS + 1, PACKAGE_LIFETIME_MS + 1])
    bob = await network.restart(bob)
    await network.settle()
    expect(await rowsOf(bob, 'invite-package')).toBe(0)
    // The invite itself waits on.
    expect(await invitesOf(bob)).toContain(roomId)
  })

  it('for what is told of a room: the newest of who told most goes', async () => {
    const loud = Array.from(
      { length: MAX_ALL_EARLY_EVENTS / MAX_EARLY_EVENTS },
      (_, n) => `s${n}.example.org`,
    )
    await tell(bob, alice, inviteEdu(mailed))
    const events = loud.flatMap((origin, index) =>
      Array.from({ length: MAX_EARLY_EVENTS }, (_, n) => {
        const at = index * MAX_EARLY_EVENTS + n
        return earlyEvents.put([room(index) as RoomId, at], {
          origin: origin as ServerName,
          pdu: { n: at },
        })
      }),
    )
    await write(events)
    const pdus = [1, 2].map((depth) => ({ type: 'm.room.message', room_id: roomId, depth }))
    await bob.node.engine.inbound.transaction({ origin: alice.node.name, pdus, edus: [] })
    const kept = await earlyEvents.list(bob.node.store, [])
    expect(kept).toHaveLength(MAX_ALL_EARLY_EVENTS)
    expect(kept.filter(([, { origin }]) => origin === alice.node.name)).toHaveLength(2)
    // The newest of two of the five.
    const numbers = new Set(kept.map(([, { pdu }]) => pdu['n']))
    const gone = events.map((_, n) => n).filter((n) => !numbers.has(n))
    expect(gone).toEqual([MAX_ALL_EARLY_EVENTS - MAX_EARLY_EVENTS - 1, MAX_ALL_EARLY_EVENTS - 1])
  })
})
