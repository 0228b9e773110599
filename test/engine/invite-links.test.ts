/** Invites by link, and what a cheating server can make of them. */
import { stateKey } from '@plexus/core'
import type { JsonObject, RoomId } from '@plexus/core'
import { CarrierError, FederationError, type Federation } from '@plexus/engine/ports'
import { exchangeRequest } from '@plexus/engine/testing'
import { createMemoryDisk, openMemoryStore } from '@plexus/store/memory'
import { beforeEach, describe, expect, it } from 'vitest'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'
import { createRoom, timeline, threeServers, membershipAt } from './rooms-kit.ts'

const DAY_MS = 86_400_000

let network: BareNetwork
let alice: BareNode
let bob: BareNode
let carol: BareNode
let roomId: RoomId

beforeEach(async () => {
  ;({ network, alice, bob, carol, roomId } = await threeServers())
})

describe('an invite link', () => {
  const open = async (opener: BareNode, link: { token: string; secret: string }): Promise<void> => {
    const secret = new Uint8Array(Buffer.from(link.secret, 'base64url'))
    const request = exchangeRequest({ token: link.token, secret, inviter: alice.user, roomId }, opener.user)
    await alice.rooms.exchangeThirdPartyInvite(opener.name, roomId, request)
  }
  const linkContent = async (token: string): Promise<unknown> => {
    const id = (await alice.rooms.snapshot(roomId))?.state.get(stateKey('m.room.third_party_invite', token))
    return id === undefined ? undefined : (await alice.rooms.event(id))?.pdu.content
  }

  it('is good for one of two that open it at once, and again for the one whose answer was lost', async () => {
    const link = await alice.rooms.createLinkInvite(roomId, alice.user)
    const results = await Promise.allSettled([open(bob, link), open(carol, link)])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect([
      await membershipAt(alice, roomId, bob.user),
      await membershipAt(alice, roomId, carol.user),
    ]).toEqual(['invite', undefined])
    expect(await linkContent(link.token)).toEqual({})
    const before = (await alice.rooms.snapshot(roomId))?.lastPosition
    await open(bob, link)
    expect((await alice.rooms.snapshot(roomId))?.lastPosition).toBe(before)
    await bob.rooms.join(bob.user, roomId, { via: [alice.name] })
    expect(await membershipAt(alice, roomId, bob.user)).toBe('join')
    await expect(open(carol, link)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
  })

  it('is used up in the very commit that holds the invite', async () => {
    const commits: string[][] = []
    const disk = createMemoryDisk({
      fault: ({ writes }) => {
        commits.push(writes.map(({ map, key }) => `${map} ${key}`))
        return 'none'
      },
    })
    alice = await network.add('alice', { store: await openMemoryStore(disk), seed: 20 })
    roomId = await createRoom(alice)
    const link = await alice.rooms.createLinkInvite(roomId, alice.user)
    commits.length = 0
    await open(bob, link)
    expect(commits.filter((writes) => writes.some((write) => write.startsWith('event ')))).toHaveLength(1)
    expect(commits[0]?.some((write) => write.startsWith('link-invite '))).toBe(true)
  })

  it('is good for nobody when it is revoked or a week old, also by who may not empty it', async () => {
    const revoked = await alice.rooms.createLinkInvite(roomId, alice.user)
    await alice.rooms.revokeLinkInvite(roomId, revoked.token, alice.user)
    await expect(open(bob, revoked)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    await expect(alice.rooms.revokeLinkInvite(roomId, 'nonsense', alice.user)).rejects.toMatchObject({
      errcode: 'M_NOT_FOUND',
    })
    const old = await alice.rooms.createLinkInvite(roomId, alice.user)
    await network.pass(7 * DAY_MS + 1)
    await expect(open(bob, old)).rejects.toThrow('expired')
    await alice.links.expireLinks()
    expect(await linkContent(old.token)).toEqual({})
    const orphan = await alice.rooms.createLinkInvite(roomId, alice.user)
    await alice.rooms.leave(alice.user, roomId)
    await network.pass(7 * DAY_MS + 1)
    await alice.links.expireLinks()
    expect(await alice.store.range('link-invite', '', '\u00ff')).toEqual([])
    await expect(open(bob, orphan)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
  })

  it('are open in a bounded number', async () => {
    for (let index = 0; index < 100; index += 1) await alice.rooms.createLinkInvite(roomId, alice.user)
    await expect(alice.rooms.createLinkInvite(roomId, alice.user)).rejects.toMatchObject({
      errcode: 'M_LIMIT_EXCEEDED',
    })
  })

  it('is refused, and stays open, where the server that asks does not sign, refuses or goes away', async () => {
    const link = await alice.rooms.createLinkInvite(roomId, alice.user)
    const cheats: Partial<Federation>[] = [
      { invite: async (_to, _room, _id, { event }) => ({ event: { ...event, signatures: {} } }) },
      { invite: () => Promise.reject(new FederationError({ status: 500, errcode: 'M_UNKNOWN', error: '' })) },
      { invite: () => Promise.reject(new CarrierError('timeout', 'no answer')) },
    ]
    for (const cheat of cheats) {
      network.cheats.set(bob.name, cheat)
      await expect(open(bob, link)).rejects.toMatchObject({ name: 'RoomError', errcode: 'M_FORBIDDEN' })
    }
    network.cheats.delete(bob.name)
    await open(bob, link)
    expect(await membershipAt(alice, roomId, bob.user)).toBe('invite')
  })

  it('brings nothing under the name key but what the link says', async () => {
    const { token, secret } = await alice.rooms.createLinkInvite(roomId, alice.user)
    const key = new Uint8Array(Buffer.from(secret, 'base64url'))
    const honest = exchangeRequest({ token, secret: key, inviter: alice.user, roomId }, bob.user)
    const third = (honest['content'] as JsonObject)['third_party_invite'] as JsonObject
    const signedPart = third['signed'] as JsonObject
    const attempt = (part: JsonObject): Promise<void> =>
      alice.rooms.exchangeThirdPartyInvite(bob.name, roomId, {
        ...honest,
        content: { membership: 'invite', third_party_invite: { signed: part } },
      })
    const [[server, byKey]] = Object.entries(signedPart['signatures'] as JsonObject) as [[string, JsonObject]]
    const bad: JsonObject[] = [
      { ...signedPart, sender: bob.user },
      { ...signedPart, sender: { x: 1 } },
      { ...signedPart, mxid: carol.user },
      { ...signedPart, token: 7 },
      { ...signedPart, signatures: {} },
      { ...signedPart, signatures: { [server]: byKey, more: { x: 'y' } } },
      { ...signedPart, signatures: { [server]: { ...byKey, 'ed25519:more': 'x' } } },
      { ...signedPart, signatures: { [server]: { 'ed25519:0': { deep: 1 } } } },
      { ...signedPart, signatures: { [server]: { 'ed25519:0': 'A'.repeat(86) } } },
    ]
    const calls = alice.calls.length
    for (const part of bad) await expect(attempt(part)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    expect(alice.calls.length).toBe(calls)
    expect(await membershipAt(alice, roomId, bob.user)).toBeUndefined()
    await attempt({ ...signedPart, unknown: 'field' })
    const event = (await timeline(alice, roomId)).find(({ pdu }) => pdu.state_key === bob.user)
    const held = event?.pdu.content ?? {}
    expect(Object.keys(held).toSorted()).toEqual(['membership', 'third_party_invite'])
    expect(
      Object.keys((held['third_party_invite'] as JsonObject)['signed'] as JsonObject).toSorted(),
    ).toEqual(['mxid', 'sender', 'signatures', 'token'])
  })
})
