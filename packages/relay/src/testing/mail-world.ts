/** A mailbox service, and who visits it over streams in memory. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeBase64 } from '@plexus/core'
import type { SignedAccountRecord } from '@plexus/core/names'
import type { Clock, MailRefusal, SealedMail } from '@plexus/engine/ports'
import {
  createFrameChannel,
  decodeRefusal,
  encodeDeposit,
  encodeRegistration,
  MailboxFrame as K,
  sendMessage,
  type Frame,
  type FrameChannel,
  type MailAccess,
} from '@plexus/p2p/wire'
import { afterEach, beforeEach } from 'vitest'
import { createMailService, type MailService } from '../mail/mail-service.ts'
import type { MailStore } from '../mail/mail-store.ts'
import { DEFAULT_MAIL_POLICY, type MailPolicy } from '../mail/policy.ts'
import { createSources } from '../mail/sources.ts'
import { openSqliteMailStore } from '../mail/sqlite-mail-store.ts'
import { ACCESS_HASH, ACCESS_KEY, createRecipient, deviceAt, type Recipient } from './recipients.ts'
import { createClock, createEnd, type End } from './streams.ts'

export const NOW: number = Date.UTC(2026, 0, 1)
export const RELAY: string = deviceAt(40)
const HERE = '/ip4/192.0.2.1/tcp/4001'

export let folder = ''
export let store: MailStore
export let service: MailService
export let lines: string[] = []
/** The records that names have mailboxes with, as they were told of. */
export let registered: SignedAccountRecord[] = []
export let clock: Clock & { advance(ms: number): void } = createClock(NOW)
export const owner: Recipient = createRecipient(NOW)

/** Registers what each case begins and ends with. */
export function useMailService(): void {
  beforeEach(async () => {
    clock = createClock(NOW)
    folder = await mkdtemp(join(tmpdir(), 'plexus-mail-'))
    store = openSqliteMailStore(join(folder, 'mail.db'), { maxBytes: 100_000_000 })
    await store.register(owner.mailbox(), 100)
  })
  afterEach(async () => {
    await service.close()
    await store[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })
}

/** A service with the store, or with what `change` makes of it. */
export function start(policy: Partial<MailPolicy> = {}, change: Partial<MailStore> = {}): void {
  lines = []
  registered = []
  const log = { log: (...what: unknown[]): void => void lines.push(JSON.stringify(what)) }
  const changed = new Proxy(store, {
    get: (target, key) => Reflect.get(change, key) ?? Reflect.get(target, key),
  })
  const all = { ...DEFAULT_MAIL_POLICY, proofBits: 6, ...policy }
  service = createMailService(
    {
      clock,
      log,
      store: changed,
      sources: createSources(clock, all),
      registered: (record) => registered.push(record),
    },
    { relay: RELAY, policy: all },
  )
}

export type Visitor = {
  readonly channel: FrameChannel
  readonly end: End
  /** The relay's end of the stream. */
  readonly far: End
  readonly got: Frame[]
  readonly reasons: string[]
  /** Asks, and resolves with the answer: `done`, or why not. */
  readonly ask: (kind: number, body?: Uint8Array) => Promise<MailRefusal | 'done'>
  readonly leave: (mail: SealedMail, access?: MailAccess) => Promise<MailRefusal | 'done'>
}

export function visit(
  peerId: string = deviceAt(9),
  address: string = HERE,
  at: MailService = service,
): Visitor {
  const [end, far] = [createEnd(), createEnd()]
  end.other = far
  far.other = end
  const got: Frame[] = []
  const reasons: string[] = []
  const waiting = new Map<number, (answer: MailRefusal | 'done') => void>()
  let lastId = 0
  const channel = createFrameChannel(end, {
    frame(frame) {
      got.push(frame)
      if (frame.kind === K.done) waiting.get(frame.id)?.('done')
      if (frame.kind === K.refuse) waiting.get(frame.id)?.(decodeRefusal(frame.body)?.code ?? 'nonsense')
    },
    writable: () => undefined,
    closed: (reason) => reasons.push(reason),
  })
  at.accept(far, { peerId, address })
  const answered = (send: (id: number) => void): Promise<MailRefusal | 'done'> => {
    lastId += 1
    const id = lastId
    send(id)
    return new Promise((resolve) => waiting.set(id, resolve))
  }
  return {
    channel,
    end,
    far,
    got,
    reasons,
    ask: (kind, body) => answered((id) => channel.send(kind, id, body)),
    leave: (mail, access = { accessKey: ACCESS_KEY }) =>
      answered((id) => sendMessage(channel, K.deposit, id, encodeDeposit({ mail, access }))),
  }
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export function registration(
  device: string,
  token?: string,
  change: { expires?: number } = {},
  who: Recipient = owner,
): Uint8Array {
  return encodeRegistration({
    certificate: who.certify(device, change),
    record: who.record(),
    accessKeyHash: encodeBase64(ACCESS_HASH),
    ...(token === undefined ? {} : { token }),
  })
}
