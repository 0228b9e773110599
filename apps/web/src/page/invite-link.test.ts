import { parseRoomId, parseUserId } from '@plexus/core'
import type { InviteLink } from '@plexus/engine/ports'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeInvite,
  encodeInvite,
  MAX_ADDRESSES,
  MAX_ADDRESS_LENGTH,
  MAX_FRAGMENT_LENGTH,
  MAX_ROOM_NAME_LENGTH,
  MAX_TOKEN_LENGTH,
  readInvite,
} from './invite-link.ts'

const SERVER = 'k51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4csozksxel2r'
const roomId = parseRoomId(`!${'a'.repeat(43)}`)
const inviter = parseUserId(`@ada:${SERVER}`)
if (roomId === undefined || inviter === undefined) throw new Error('the fixture is no identifier')

const LINK: InviteLink = {
  roomId,
  token: 'token-1',
  secret: 'A'.repeat(43),
  inviter,
  multiaddrs: ['/ip4/127.0.0.1/tcp/8008/ws/p2p/12D3KooWRelay/p2p-circuit/p2p/12D3KooWAda'],
  roomName: 'Mountain hut',
}

const raw = (value: unknown): string => `#join.${Buffer.from(JSON.stringify(value)).toString('base64url')}`
const parts = (link: InviteLink): unknown[] => [
  link.roomId,
  link.token,
  link.secret,
  link.inviter,
  [...link.multiaddrs],
  link.roomName,
]

const base64url = fc.string({
  minLength: 43,
  maxLength: 43,
  unit: fc.constantFrom(...Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')),
})
const visible = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({
    minLength: 1,
    maxLength,
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  })
const links: fc.Arbitrary<InviteLink> = fc.record({
  roomId: fc.constant(roomId),
  token: visible(MAX_TOKEN_LENGTH),
  secret: base64url,
  inviter: fc.constant(inviter),
  multiaddrs: fc.array(
    visible(60).map((text) => `/${text}`),
    { maxLength: MAX_ADDRESSES },
  ),
})

/** Any code units, lone surrogates and controls among them. */
const anyText = fc
  .array(fc.nat(0x10ffff), { maxLength: 200 })
  .map((points) => String.fromCodePoint(...points))

describe('invite links', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(links, (link) => {
        expect(decodeInvite(encodeInvite(link))).toEqual({ kind: 'link', link })
      }),
    )
  })

  it('carry names of any script', () => {
    for (const roomName of ['Mountain hut', 'Hütte 🏔️', 'غرفة', '山小屋']) {
      expect(decodeInvite(encodeInvite({ ...LINK, roomName }))).toEqual({
        kind: 'link',
        link: { ...LINK, roomName },
      })
    }
  })

  it('give any name a form that they read again', () => {
    fc.assert(
      fc.property(anyText, (roomName) => {
        const reading = decodeInvite(encodeInvite({ ...LINK, roomName }))
        expect(reading.kind).toBe('link')
        if (reading.kind === 'link') {
          expect((reading.link.roomName ?? '').length).toBeLessThanOrEqual(MAX_ROOM_NAME_LENGTH)
        }
      }),
    )
  })

  it('stay under the bound at their longest', () => {
    const full = { ...LINK, roomName: '山'.repeat(MAX_ROOM_NAME_LENGTH), token: 't'.repeat(MAX_TOKEN_LENGTH) }
    const multiaddrs = Array.from({ length: 20 }, () => `/${'x'.repeat(MAX_ADDRESS_LENGTH - 1)}`)
    const fragment = encodeInvite({ ...full, multiaddrs })
    expect(fragment.length).toBeLessThanOrEqual(MAX_FRAGMENT_LENGTH)
    expect(decodeInvite(fragment)).toMatchObject({ kind: 'link' })
  })

  it('are found in what somebody pasted', () => {
    const fragment = encodeInvite(LINK)
    for (const text of [
      `https://plexus.example/${fragment}`,
      ` ${fragment}\n`,
      `http://127.0.0.1:8008/index.html${fragment}`,
    ]) {
      expect(readInvite(text)).toEqual({ kind: 'link', link: LINK })
    }
    expect(readInvite('hello')).toMatchObject({ kind: 'broken' })
    expect(readInvite('')).toMatchObject({ kind: 'broken' })
  })

  it('are told from other fragments', () => {
    for (const fragment of ['', '#', '#/', '#/room/%21a', '#join'])
      expect(decodeInvite(fragment)).toEqual({ kind: 'none' })
  })

  it.each([
    ['no base64', '#join.%%%'],
    ['padding', `${raw(parts(LINK))}=`],
    ['no JSON', `#join.${Buffer.from('{').toString('base64url')}`],
    ['no UTF-8', `#join.${Buffer.from([0x5b, 0xff, 0x5d]).toString('base64url')}`],
    ['no array', raw({ roomId })],
    ['too few parts', raw(parts(LINK).slice(0, 4))],
    ['too many parts', raw([...parts(LINK), 1])],
    ['a room id that is none', raw(['room', ...parts(LINK).slice(1)])],
    ['a user id that is none', raw(parts(LINK).with(3, 'ada'))],
    ['a user id that looks like another', raw(parts(LINK).with(3, `@\u0430da:${SERVER}`))],
    ['a number as token', raw(parts(LINK).with(1, 1))],
    ['an empty token', raw(parts(LINK).with(1, ''))],
    ['a token that is too long', raw(parts(LINK).with(1, 't'.repeat(MAX_TOKEN_LENGTH + 1)))],
    ['a token with a space', raw(parts(LINK).with(1, 'a b'))],
    ['a secret that is too short', raw(parts(LINK).with(2, 'A'.repeat(42)))],
    ['addresses that are no list', raw(parts(LINK).with(4, '/ip4'))],
    ['too many addresses', raw(parts(LINK).with(4, Array(MAX_ADDRESSES + 1).fill('/ip4/1.2.3.4')))],
    ['an address that is too long', raw(parts(LINK).with(4, [`/${'x'.repeat(MAX_ADDRESS_LENGTH)}`]))],
    ['an address with a line break', raw(parts(LINK).with(4, ['/ip4\n/1']))],
    ['an empty name', raw(parts(LINK).with(5, ''))],
    ['a name that is too long', raw(parts(LINK).with(5, 'x'.repeat(MAX_ROOM_NAME_LENGTH + 1)))],
    ['a name that turns text around', raw(parts(LINK).with(5, 'hut\u202Egpj'))],
    ['too much of everything', `#join.${'A'.repeat(MAX_FRAGMENT_LENGTH)}`],
  ])('are refused with %s', (_what, fragment) => {
    expect(decodeInvite(fragment).kind).toBe('broken')
  })

  it('never throw, whatever the fragment', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.jsonValue().map(raw), fc.array(fc.jsonValue(), { maxLength: 7 }).map(raw)),
        (text) => {
          expect(['none', 'link', 'broken']).toContain(decodeInvite(text).kind)
          expect(['link', 'broken']).toContain(readInvite(text).kind)
        },
      ),
    )
  })

  it('refuse every cut-off beginning', () => {
    const fragment = encodeInvite(LINK)
    for (let length = 6; length < fragment.length; length += 1) {
      expect(decodeInvite(fragment.slice(0, length)).kind).toBe('broken')
    }
  })
})
