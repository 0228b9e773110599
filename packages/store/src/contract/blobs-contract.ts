import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Blobs } from '@plexus/engine/ports'

/** One place for blobs. Each `open` opens that same place. */
export interface BlobsFixture {
  open(): Promise<Blobs>
  remove(): Promise<void>
}

/** FIPS 180-4, the examples of one and no block. */
const ABC = 'ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0'
const EMPTY = '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Registers the cases of the Blobs port for the adapter that `prepare` gives fresh places of. */
export function blobsContract(name: string, prepare: () => Promise<BlobsFixture>): void {
  describe(`Blobs contract: ${name}`, () => {
    let fixture: BlobsFixture
    let blobs: Blobs
    beforeEach(async () => {
      fixture = await prepare()
      blobs = await fixture.open()
    })
    afterEach(() => fixture.remove())
    keepingCases(() => blobs)
    namingCases(() => blobs)

    it('keeps blobs for the next opening', async () => {
      await blobs.put(bytesOf('abc'))
      expect(await (await fixture.open()).get(ABC)).toEqual(bytesOf('abc'))
    })
  })
}

function keepingCases(blobs: () => Blobs): void {
  it('keeps bytes under their SHA-256', async () => {
    expect(await blobs().put(bytesOf('abc'))).toBe(ABC)
    expect(await blobs().put(new Uint8Array())).toBe(EMPTY)
    expect(await blobs().get(ABC)).toEqual(bytesOf('abc'))
    expect(await blobs().get(EMPTY)).toEqual(new Uint8Array())
  })

  it('takes a part of a larger buffer for what it is', async () => {
    expect(await blobs().put(bytesOf('xabcx').subarray(1, 4))).toBe(ABC)
    expect(await blobs().get(ABC)).toEqual(bytesOf('abc'))
  })

  it('is idempotent, also for the same bytes at the same time', async () => {
    const hashes = await Promise.all(Array.from({ length: 8 }, () => blobs().put(bytesOf('abc'))))
    expect(new Set(hashes)).toEqual(new Set([ABC]))
    expect(await blobs().put(bytesOf('abc'))).toBe(ABC)
    expect(await blobs().get(ABC)).toEqual(bytesOf('abc'))
  })

  it('does not change with the bytes that were given or answered', async () => {
    const given = bytesOf('abc')
    const hash = await blobs().put(given)
    given.fill(0)
    const answered = await blobs().get(hash)
    answered?.fill(0)
    expect(await blobs().get(hash)).toEqual(bytesOf('abc'))
  })

  it('keeps large blobs', async () => {
    const large = new Uint8Array(5_000_001).map((_, index) => (index * 31) % 251)
    const found = await blobs().get(await blobs().put(large))
    expect(found?.length).toBe(large.length)
    expect(found?.every((byte, index) => byte === large[index])).toBe(true)
  })
}

function namingCases(blobs: () => Blobs): void {
  it('answers undefined for what it does not hold', async () => {
    expect(await blobs().get(ABC)).toBeUndefined()
  })

  it('deletes, also what is not there, and takes it back', async () => {
    await blobs().put(bytesOf('abc'))
    await blobs().delete(ABC)
    await blobs().delete(ABC)
    await blobs().delete(EMPTY)
    expect(await blobs().get(ABC)).toBeUndefined()
    expect(await blobs().put(bytesOf('abc'))).toBe(ABC)
    expect(await blobs().get(ABC)).toEqual(bytesOf('abc'))
  })

  it.each([
    ['a path', '../../../../../../../../../../../../etc/passwd'],
    ['a path of the right length', `../${'a'.repeat(39)}A`],
    ['nothing', ''],
    ['an absolute path', '/etc/passwd'],
    ['a null byte', `${ABC.slice(0, 42)}\u0000`],
    ['a line end', `${ABC}\n`],
    ['padding', `${ABC}=`],
    ['the other base64', ABC.replaceAll('-', '+')],
    ['a second spelling of a hash', `${ABC.slice(0, 42)}1`],
    ['a very long name', 'a'.repeat(100_000)],
  ])('answers undefined for %s and deletes nothing', async (_what, hash) => {
    await blobs().put(bytesOf('abc'))
    expect(await blobs().get(hash)).toBeUndefined()
    await blobs().delete(hash)
    expect(await blobs().get(ABC)).toEqual(bytesOf('abc'))
  })
}
