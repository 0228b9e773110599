import { isValidNewLocalpart, parseEventId, parseRoomId } from '@plexus/core'
import type { Delivery } from '@plexus/engine/ports'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NodeApi } from '../bridge/api.ts'
import type { Bridge } from '../bridge/bridge.ts'
import { createDeliveries } from './deliveries.ts'
import { MAX_ROOMS, parseExport } from './export.ts'
import { localpartOf } from './localpart.ts'
import { imageType } from './media.ts'
import { shortUserId } from './names.ts'

describe('the first part of a user id', () => {
  it.each([
    ['Ada Lindqvist', 'ada-lindqvist'],
    ['Ádám Ő', 'adam-o'],
    ['  ', 'me'],
    ['山田', 'me'],
    ['-x-', 'x'],
    ['', 'me'],
  ])('of %j is %j', (name, localpart) => {
    expect(localpartOf(name)).toBe(localpart)
  })

  it('is always one that may be taken', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 80 }), (name) => {
        expect(isValidNewLocalpart(localpartOf(name))).toBe(true)
      }),
    )
  })
})

describe('somebody without a name', () => {
  it('is called by the user id, shortened', () => {
    expect(shortUserId('@me:k51qzi5uqu5dkf5542f38uar3v0hvbn258klk6iufraqrm8ejmf8lenw8va7ms')).toBe(
      'me …va7ms',
    )
    expect(shortUserId('nobody')).toBe('nobody')
  })
})

describe('an export', () => {
  const room = { roomId: `!${'r'.repeat(43)}`, vias: ['a.example'] }
  const good = { userId: '@ada:a.example', name: 'Ada', rooms: [room], roomKeys: '[]' }

  it('is read', () => {
    expect(parseExport(JSON.stringify(good))).toEqual(good)
  })

  it.each([
    'no json',
    '[]',
    'null',
    JSON.stringify({ ...good, userId: 'ada' }),
    JSON.stringify({ ...good, name: 1 }),
    JSON.stringify({ ...good, roomKeys: [] }),
    JSON.stringify({ ...good, rooms: {} }),
    JSON.stringify({ ...good, rooms: [{ roomId: 'x', vias: [] }] }),
    JSON.stringify({ ...good, rooms: [{ ...room, vias: ['no server'] }] }),
    JSON.stringify({ ...good, rooms: [{ ...room, vias: ['a', 'b', 'c'] }] }),
    JSON.stringify({ ...good, rooms: Array.from({ length: MAX_ROOMS + 1 }, () => room) }),
  ])('is refused when it is none: %s', (text) => {
    expect(parseExport(text)).toBeUndefined()
  })
})

describe('an image', () => {
  const bytes = (...start: number[]): Uint8Array => Uint8Array.from([...start, ...Array<number>(12).fill(0)])
  it('is what its first bytes say', () => {
    expect(imageType(bytes(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a))).toBe('image/png')
    expect(imageType(bytes(0xff, 0xd8, 0xff, 0xe0))).toBe('image/jpeg')
    expect(imageType(new TextEncoder().encode('GIF89a......'))).toBe('image/gif')
    expect(imageType(new TextEncoder().encode('RIFF0000WEBP'))).toBe('image/webp')
  })

  it('is nothing that could run', () => {
    for (const text of ['<svg xmlns="http://www.w3.org/2000/svg">', '<!doctype html>', '', '%PDF-1.7']) {
      expect(imageType(new TextEncoder().encode(text))).toBeUndefined()
    }
  })
})

describe('deliveries', () => {
  const eventId = parseEventId(`$${'e'.repeat(43)}`)
  const roomId = parseRoomId(`!${'r'.repeat(43)}`)
  if (eventId === undefined || roomId === undefined) throw new Error('the fixture is no identifier')
  const state = (delivered: number): Delivery => ({ eventId, roomId, delivered, atRelay: 0, members: 2 })

  /** A node that answers each question once `answer` is called. */
  function node(): {
    bridge: Bridge<NodeApi>
    asked: unknown[]
    answer: (delivery: Delivery | undefined) => void
  } {
    const asked: unknown[] = []
    const { promise, resolve } = Promise.withResolvers<Delivery | undefined>()
    const call = async (_name: string, argument: unknown): Promise<never> => {
      asked.push(argument)
      return (await promise) as never
    }
    return { bridge: { call, close: () => undefined }, asked, answer: resolve }
  }

  it('are asked for once, then known', async () => {
    const { bridge, asked, answer } = node()
    const changed = Promise.withResolvers<string>()
    const deliveries = createDeliveries(bridge, changed.resolve)
    expect(deliveries.get(roomId, eventId)).toBeUndefined()
    expect(deliveries.get(roomId, eventId)).toBeUndefined()
    answer(state(1))
    expect(await changed.promise).toBe(roomId)
    expect(deliveries.get(roomId, eventId)).toEqual(state(1))
    expect(asked).toEqual([{ roomId, eventId }])
  })

  it('keep what was told while the node was asked', async () => {
    const { bridge, answer } = node()
    const rooms: string[] = []
    const deliveries = createDeliveries(bridge, (room) => rooms.push(room))
    deliveries.get(roomId, eventId)
    deliveries.told(state(2))
    answer(state(0))
    await bridge.call('waiting', null)
    await Promise.resolve()
    expect(deliveries.get(roomId, eventId)).toEqual(state(2))
    expect(rooms).toEqual([roomId])
  })
})
