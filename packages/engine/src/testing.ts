/** Parts of the engine by themselves, for tests that need no users. */
export { createCommitter, type Committer } from './kernel/committer.ts'
export {
  EARLY_WAIT_MS,
  loadEarlyEdus,
  MAX_EARLY_EDUS,
  MAX_EARLY_EDUS_OF_ALL,
  MAX_EARLY_LENGTH,
  MAX_EARLY_LENGTH_OF_ALL,
  type EarlyEdus,
} from './early-edus.ts'
export { FAULT_PATIENCE_MS } from './edu-faults.ts'
export { createInbound, MAX_WAITING_TRANSACTIONS } from './inbound.ts'
export type { Inbound } from './outbox-types.ts'
export { MAX_REMEMBERED_LENGTH, MAX_TOLD_CHILDREN, MAX_WALK_REQUESTS } from './directory/spaces.ts'
export { MAX_KEY_FETCHES_FOR_ONE } from './keys/fetcher.ts'
export { createServerKeys, type ServerKeysOwner } from './keys/server-keys.ts'
export {
  contactContent,
  FIRST_SEEK_PAUSE_MS,
  loadContacts,
  MAX_CONTACTS,
  SEEK_INTERVAL_MS,
} from './mail/contacts.ts'
export { loadAccount, RECORD_RENEWAL_MS, type Account } from './mail/account.ts'
export { createInbox, MAX_FETCHES, MAX_USELESS_MAILS } from './mail/inbox.ts'
export { loadOwnMailboxes } from './mail/own-mailboxes.ts'
export { SILENT_WAIT_MS, withShelves } from './mail/shelf-asker.ts'
export { loadSilentNames, MAX_SILENT_NAMES } from './mail/silent-names.ts'
export { DEVICE_SETTLE_MS } from './mail/shelf-keeper.ts'
export {
  loadReceivedQueue,
  MAX_TOLD_MAILS,
  MAX_TOLD_RELAYS,
  MAX_UNTOLD,
  MAX_UNTOLD_OF_ORIGIN,
} from './mail/received.ts'
export { createOwnDevice } from './mail/own-device.ts'
export { loadSealingKeys, SEALING_KEY_MS, type SealingKeysDeps } from './mail/sealing-keys.ts'
export { loadOutboxMemory, MAX_MAIL_NEWS } from './outbox/memory.ts'
export { createSender } from './outbox/sender.ts'
export { contacts, MAIL_RETENTION_MS, MAX_SEEN_SHELVES, seenShelves } from './mail/tables.ts'
export { ACCESS_KEY_INTERVAL_MS } from './mail/tell.ts'
export {
  FORWARDED_WINDOW_MS,
  MAX_FORWARDED,
  MAX_FORWARDED_LENGTH,
  MAX_WAITING_FORWARDS,
  NEWS_MS,
} from './outbox/fan-out.ts'
export {
  GOSSIP_WINDOW_MS,
  MAX_FALSE_GOSSIP,
  MAX_GOSSIP_OF_ORIGIN,
  MAX_PASSED_GOSSIP,
  RECEIPTS_MS,
} from './outbox/gossip.ts'
export { createOutbox, type OutboxOwner } from './outbox/index.ts'
export { createRooms } from './rooms/index.ts'
export { LIMITED_PAUSE_MS, MAX_STATE_EVENTS } from './rooms/claims.ts'
export { HEARD_PAUSE_MS, type Completion } from './rooms/completion.ts'
export { MAX_UNPROVEN_SERVERS } from './rooms/enter-room.ts'
export { MAX_INVITES_OF_SERVER, MAX_OTHER_INVITES, MAX_WAITING_INVITES } from './rooms/accept-invite.ts'
export { exchangeRequest, type LinkInvites } from './rooms/link-invites.ts'
export { MAX_TOLD_OF_LINK } from './rooms/mailed-edus.ts'
export {
  MAX_ALL_EARLY_EVENTS,
  MAX_EARLY_EVENTS,
  MAX_EARLY_EVENTS_OF_SERVER,
  MAX_PACKAGE_LENGTH,
  MAX_PACKAGES,
  MAX_PACKAGES_OF_SERVER,
  PACKAGE_LIFETIME_MS,
} from './rooms/invite-packages.ts'
export { MAX_OPENED_LINKS } from './rooms/opened-links.ts'
export { createOutsiders } from './rooms/outsiders.ts'
export { earlyEvents, memberships } from './rooms/records.ts'
export { LAST_RETRY_MS } from './rooms/gap-turns.ts'
export { GAP_BATCH, MAX_GAP_BYTES } from './rooms/gap-fill.ts'
export { MAX_HEADS_PER_SERVER, MAX_HOLES } from './rooms/present.ts'
export { MAX_STAGED_PER_SERVER } from './rooms/take-in.ts'
export { MAX_POLICY_ASKS } from './rooms/policy.ts'
export { MAX_WAITING_KNOCKS } from './rooms/remote-knock.ts'
export { MAX_CONDITIONS } from './rooms/restricted.ts'
export { MAX_OTHERS, MAX_UNCONFIRMED_MS } from './rooms/second-look.ts'
export { MAX_SECOND_MEMBERS, SECOND_MEMBER_MS } from './rooms/second-member.ts'
export { LONE_WORD_AFTER_MS, MAX_TELLERS } from './rooms/words.ts'
export { createSearchIndex, MAX_INDEXED_AT_ONCE, MAX_POSTINGS } from './search/search-index.ts'
export type { Staging } from './rooms/staging.ts'
export type { Rooms } from './rooms/types.ts'
export { createVerifier } from './webcrypto.ts'
