/**
 * A disk that is full: nothing acknowledged is lost, what is refused is told so, and with room again all goes on. A bound of the
 * system for files stands for it. `FULL_DISK=/path/to/a/folder` names an empty one on a file system of its own, which is filled
 * (`mount -t tmpfs -o size=160m tmpfs /path`).
 */
import { createHash } from 'node:crypto'
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeBase64, type RoomId } from '@plexus/core'
import { accountRecords, type AccountRecord } from '@plexus/core/names'
import type { SealedMail } from '@plexus/engine/ports'
import { generateTransportKey, peerIdOfKey } from '@plexus/p2p'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startMailRelay } from '../kit/mail-relay-process.ts'
import { register, startNodeApp, type NodeApp, type Person, type Reply } from '../kit/node-app.ts'
import { eventually, newAccount, startNode, type TestNode } from '../kit/p2p.ts'

const DISK = process.env['FULL_DISK']
/** Of half or one kilobyte, as the shell counts: more than a new node needs. */
const FILE_BLOCKS = 1_200
const TEXT = 'x'.repeat(20_000)
const DAY_MS = 24 * 3_600_000

let folder = ''
beforeEach(() => {
  if (DISK !== undefined) expect(readdirSync(DISK)).toEqual([])
  folder = mkdtempSync(join(DISK ?? tmpdir(), 'plexus-full-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Takes all that the disk has left; `free` gives it back. */
function fillDisk(): { free(): void } {
  const path = join(folder, 'filler')
  const file = openSync(path, 'w')
  const page = new Uint8Array(4_096).fill(1)
  expect(() => {
    for (;;) writeSync(file, page)
  }).toThrow(/ENOSPC/)
  closeSync(file)
  return { free: () => rmSync(path) }
}

/** Somebody who writes, and what was acknowledged. */
class Writer {
  readonly acknowledged: string[] = []
  readonly person: Person
  readonly roomId: RoomId
  #next = 0

  constructor(person: Person, roomId: RoomId) {
    this.person = person
    this.roomId = roomId
  }

  async say(): Promise<Reply> {
    const n = (this.#next += 1)
    const body = `${n} ${TEXT}`
    const path = `v3/rooms/${encodeURIComponent(this.roomId)}/send/m.room.message/t${n}`
    const reply = await this.person.ask('PUT', path, { msgtype: 'm.text', body })
    if (reply.status === 200) this.acknowledged.push(body)
    return reply
  }

  /** Until something is refused. */
  async fill(): Promise<Reply> {
    for (;;) {
      const reply = await this.say()
      if (reply.status !== 200) return reply
    }
  }
}

async function writerOn(data: string, node: () => NodeApp): Promise<Writer> {
  const person = await register(data, () => node().clientApi, 'ann')
  const { room_id: roomId } = await person.ok('POST', 'v3/createRoom', {})
  return new Writer(person, roomId as RoomId)
}

const ARGS = ['--rate-limits', 'off']

describe('a node whose disk is full', { timeout: 60_000 }, () => {
  it.skipIf(DISK !== undefined)('keeps what it acknowledged, and says why it takes no more', async () => {
    let node = await startNodeApp(folder, ARGS, {}, FILE_BLOCKS)
    const writer = await writerOn(folder, () => node)
    expect(await writer.fill()).toMatchObject({ status: 500, body: { errcode: 'M_UNKNOWN' } })
    expect((await writer.say()).status).toBe(500)
    expect((await writer.person.ask('GET', 'v3/sync')).status).toBe(200)
    expect(node.output()).toMatch(/the store takes nothing/)
    expect(await node.stop()).toBe(0)
    node = await startNodeApp(folder, ARGS)
    expect((await writer.say()).status).toBe(200)
    expect(await writer.person.texts(writer.roomId)).toEqual(writer.acknowledged)
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([])
    await node.stop()
  })

  it.runIf(DISK)('goes on once there is room, without a restart too', async () => {
    const data = join(folder, 'data')
    mkdirSync(data)
    let node = await startNodeApp(data, ARGS)
    const writer = await writerOn(data, () => node)
    for (let round = 0; round < 3; round += 1) {
      for (let n = 0; n < 20; n += 1) expect((await writer.say()).status).toBe(200)
      const filler = fillDisk()
      const full = { status: 507, body: { errcode: 'M_UNKNOWN' } }
      expect(await writer.fill()).toMatchObject(full)
      expect((await writer.person.ask('GET', 'v3/sync')).status).toBe(200)
      if (round === 2) {
        await node.stop('SIGKILL')
        await expect(startNodeApp(data, ARGS)).rejects.toThrow(/plexus node: the disk .* is full: make room/)
        filler.free()
        node = await startNodeApp(data, ARGS)
      } else filler.free()
    }
    expect((await writer.say()).status).toBe(200)
    expect(await writer.person.texts(writer.roomId)).toEqual(writer.acknowledged)
    await node.stop()
  })
})

describe('a relay whose disk is full', { timeout: 120_000 }, () => {
  it.runIf(DISK)('gives out what it has, which makes room, and takes mail again', async () => {
    const data = join(folder, 'data')
    mkdirSync(data)
    const { account, transportKey, record, access } = await createOwner()
    let relay = await startMailRelay(data)
    const sender = await startNode()
    const ownerHere = async (): Promise<TestNode> => {
      const owner = await startNode({ relays: relay.address.multiaddrs, account, transportKey })
      await eventually(() => owner.events.some(({ kind }) => kind === 'mail'), 'mailboxes connected', 20_000)
      await owner.node.mailboxes.register(relay.address.peerId, { record, accessKeyHash: access.hash })
      return owner
    }
    const left: string[] = []
    const got: string[] = []
    let cursor = 0
    const leave = async (): Promise<string> => {
      const text = `${left.length + 1} ${TEXT}`
      const bytes = new TextEncoder().encode(text)
      const mail: SealedMail = {
        recipient: account.name,
        lane: 'keys',
        keyId: 'k1',
        expires: Date.now() + DAY_MS,
        bytes,
      }
      return sender.node.mailboxes.deposit(relay.address, mail, access.key).then(
        () => {
          left.push(text)
          return 'kept'
        },
        (error: unknown) => String(error),
      )
    }
    const fill = async (): Promise<string> => {
      for (;;) {
        const outcome = await leave()
        if (outcome !== 'kept') return outcome
      }
    }
    const fetchAll = async ({ node }: TestNode): Promise<void> => {
      for (;;) {
        const mails = await node.mailboxes.fetch(relay.address.peerId, cursor)
        if (mails.length === 0) return
        for (const kept of mails) {
          cursor = kept.cursor
          got.push(new TextDecoder().decode(kept.mail.bytes))
        }
        await node.mailboxes.acknowledge(relay.address.peerId, cursor)
      }
    }

    let owner = await ownerHere()
    expect(await fill()).toMatch(/quota/)
    await fetchAll(owner)
    expect(await leave()).toBe('kept')
    expect(await fill()).toMatch(/quota/)
    await owner.node[Symbol.asyncDispose]()
    await relay.kill()
    // Others take the rest of the disk: what is there can be read still.
    const filler = fillDisk()
    relay = await startMailRelay(data)
    owner = await ownerHere()
    expect(await leave()).toMatch(/quota/)
    const mails = await owner.node.mailboxes.fetch(relay.address.peerId, cursor)
    expect(mails.length).toBeGreaterThan(0)
    filler.free()
    await fetchAll(owner)
    expect(await leave()).toBe('kept')
    await fetchAll(owner)
    expect(got).toEqual(left)
    await owner.node[Symbol.asyncDispose]()
    await sender.node[Symbol.asyncDispose]()
    await relay.kill()
  })
})

async function createOwner() {
  const account = newAccount()
  const transportKey = await generateTransportKey()
  const key = new Uint8Array(32).fill(7)
  const access = { key: encodeBase64(key), hash: encodeBase64(createHash('sha256').update(key).digest()) }
  const made: AccountRecord = {
    name: account.name,
    sequence: 1,
    expires: Date.now() + 60 * DAY_MS,
    mailboxes: [],
    devices: [peerIdOfKey(transportKey)],
    sealingKeys: [{ id: 'k1', publicKey: access.key, expires: Date.now() + 30 * DAY_MS }],
  }
  const record = { record: made, signature: encodeBase64(account.sign(accountRecords.bytes(made))) }
  return { account, transportKey, record, access }
}
