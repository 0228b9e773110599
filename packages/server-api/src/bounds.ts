/** Named bounds of the Server-Server API: what one request or answer may cost. */

/** How long a request of ours may be on its way. */
export const ENVELOPE_LIFETIME_MS = 120_000
/** The same for one that waits in a mailbox. DESIGN section 8 "retention 30 days" */
export const MAIL_LIFETIME_MS: number = 30 * 24 * 3_600_000

/** Requests of one origin's incarnation that are remembered, so that none counts twice. */
export const MAX_REPLAY_ENTRIES = 512
/** Incarnations whose requests are remembered; further ones wait until old requests have expired. */
export const MAX_REPLAY_WINDOWS = 1_024
/** The same for those of one server: a restored store makes a new one. */
export const MAX_REPLAY_WINDOWS_OF_SERVER = 8

/** Transactions without an envelope that are remembered of one server, which sends one at a time, and servers. */
export const MAX_REMEMBERED_TRANSACTIONS = 4
export const MAX_REMEMBERED_SERVERS = 1_024

/** Bytes of a request in canonical JSON: `MAX_TRANSACTION_PDUS` and `MAX_TRANSACTION_EDUS` fit. */
export const MAX_REQUEST_BYTES: number = 12 * 1024 * 1024

/** Longest path or query parameter, in characters. */
export const MAX_PARAMETER_LENGTH = 1_024
/** Longest `txnId`, in characters. */
export const MAX_TRANSACTION_ID_LENGTH = 255

/** spec: server-server-api.md "Transactions" */
export const MAX_TRANSACTION_PDUS = 50
/** spec: server-server-api.md "Transactions" */
export const MAX_TRANSACTION_EDUS = 100

/** Events and EDUs of mails that are taken in as one transaction. */
export const MAX_MERGED_PDUS = 250
export const MAX_MERGED_EDUS = 500

/** Times that a proven mail is tried which fails by a fault of this node; the inbox rests in between. */
export const MAX_MAIL_ATTEMPTS = 3
/** Such mails of one process that are tried again: each keeps those behind it waiting for a few rests. */
export const MAX_FAILING_MAILS = 20

/** Rooms of which one transaction or its answer tells the heads, and heads of one room. */
export const MAX_TOLD_ROOMS = 20
export const MAX_TOLD_HEADS = 20
/** Events of the destination in one room that a transaction tells as taken. */
export const MAX_TAKEN = 200

/** Relays and, of each, transactions that one transaction tells as received by mail. */
export const MAX_RECEIVED_RELAYS = 8
export const MAX_RECEIVED_TRANSACTIONS = 500
/** Characters of an incarnation and of a libp2p peer id. */
export const MAX_INCARNATION_LENGTH = 64
export const MAX_PEER_ID_LENGTH = 128

/** Rooms that the typing notices and receipts of one transaction are about; those of further rooms are ignored. */
export const MAX_EDU_ROOMS = 200

/** Events of state, and of an auth chain, in one answer. */
export const MAX_STATE_EVENTS = 200_000
/** Servers that a joining server may be told to be in the room. */
export const MAX_SERVERS_IN_ROOM = 10_000
/** Events that one `/backfill` or `/get_missing_events` gives or takes. */
export const MAX_HISTORY_EVENTS = 100
/** Event ids in one request. */
export const MAX_QUERIED_EVENTS = 100
/** Room versions that a requester may list. */
export const MAX_ROOM_VERSIONS = 64
/** Entries of `invite_room_state`. */
export const MAX_INVITE_STATE_EVENTS = 64
/** Servers in the answer to an alias query. */
export const MAX_ALIAS_SERVERS = 256

/** Rooms whose members may join another one, as a server tells them. */
export const MAX_ALLOWED_ROOMS = 1_000
/** Children of a space, as a server tells them. */
export const MAX_SPACE_CHILDREN = 2_000
/** Room types that a list of rooms is narrowed to. */
export const MAX_ROOM_TYPES = 32

/** Servers in one query to a notary or its answer, and keys of one of them in the query. */
export const MAX_NOTARY_SERVERS = 50
export const MAX_NOTARY_KEYS = 64

/** Users in one key query or claim, and devices of one user. */
export const MAX_QUERIED_USERS = 1_000
export const MAX_QUERIED_DEVICES = 1_000

/** Bytes of an answer that holds no room state, events or media. */
export const MAX_SMALL_ANSWER_BYTES: number = 256 * 1024
/** Bytes of an answer with key material of many users. */
export const MAX_KEYS_ANSWER_BYTES: number = 8 * 1024 * 1024
/** Bytes of an answer with descriptions of rooms. */
export const MAX_ROOMS_ANSWER_BYTES: number = 1024 * 1024
/** Bytes of an answer with at most `MAX_HISTORY_EVENTS` events. */
export const MAX_HISTORY_ANSWER_BYTES: number = 8 * 1024 * 1024
/** Bytes of an answer with the ids of `MAX_STATE_EVENTS` events. */
export const MAX_STATE_IDS_ANSWER_BYTES: number = 24 * 1024 * 1024
/** Bytes of an answer with room state. */
export const MAX_STATE_ANSWER_BYTES: number = 64 * 1024 * 1024
/** Bytes of a multipart answer beyond those of its media. */
export const MAX_MULTIPART_OVERHEAD_BYTES = 16_384

/** Characters that are kept of another server's error text. */
export const MAX_ERROR_LENGTH = 512

/** How long an answer is waited for. */
export const DEFAULT_TIMEOUT_MS = 30_000
/** The same for answers with room state or media. */
export const LONG_TIMEOUT_MS = 90_000
