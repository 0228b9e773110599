import { createHash } from 'node:crypto'
import type { Clock } from '@plexus/engine/ports'
import { decodeDeposit, type MailboxRefusal } from '@plexus/p2p/wire'
import type { MailStore } from './mail-store.ts'
import { depositFault, type MailPolicy } from './policy.ts'

type Message = Parameters<typeof decodeDeposit>[0]

export type DepositDeps = {
  readonly clock: Clock
  readonly store: MailStore
  readonly relay: string
  readonly policy: MailPolicy
  readonly counts: { kept: number; known: number }
}

/** Takes a mail: when this resolves with nothing it is on disk. @throws StoreError */
export async function takeDeposit(deps: DepositDeps, message: Message): Promise<MailboxRefusal | undefined> {
  const { clock, store, policy, relay } = deps
  const deposit = decodeDeposit(message)
  if (deposit === undefined) return { code: 'nonsense' }
  const { mail } = deposit
  const mailbox = await store.mailbox(mail.recipient)
  if (mailbox === undefined) return { code: 'unknown-recipient' }
  const now = clock.now()
  const hash = createHash('sha256').update(mail.bytes).digest()
  const mailHash = hash.toString('base64url')
  const code = depositFault(deposit, { relay, now, mailbox, mailHash, proofBits: policy.proofBits })
  if (code === 'old-key') return { code, record: mailbox.record }
  if (code !== undefined) return { code }
  const outcome = await store.deposit({
    mail,
    hash,
    quota: policy.quotas[mail.lane],
    now,
    until: now + policy.retentionMs,
  })
  if (outcome === 'quota') return { code: 'quota' }
  if (outcome === 'unknown') return { code: 'unknown-recipient' }
  deps.counts[outcome] += 1
  return undefined
}
