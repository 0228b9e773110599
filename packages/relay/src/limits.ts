/**
 * Bounds of a relay. libp2p's defaults (15 reservations, 128 KiB and 2 minutes a circuit, 5 connections a second from
 * one address) are made for hole punching: here pairs without a direct connection talk over the relay, a whole office
 * may share one address, and after a restart everyone comes back at once.
 */

/** Connections at once. */
export const MAX_CONNECTIONS = 4_000
/** New connections a second from one address. */
export const CONNECTIONS_PER_SECOND = 200
/** Connections in their handshake. */
export const MAX_PENDING_CONNECTIONS = 500

/** Nodes that can be reached through the relay. */
export const MAX_RESERVATIONS = 4_000
/** Milliseconds that a reservation is valid; nodes renew it. */
export const RESERVATION_MS: number = 60 * 60_000
/** Bytes, both ways together, after which a circuit is cut; the pair then makes a new one. */
export const CIRCUIT_BYTES: bigint = 256n * 1024n * 1024n
/** Milliseconds after which a circuit is cut. */
export const CIRCUIT_MS: number = 6 * 60 * 60_000
/** Circuits at once that one node dials, and that lead to one node. */
export const MAX_CIRCUITS_PER_NODE = 256
/** Circuits that one node may dial over time, a second, and at once. */
export const CIRCUITS_PER_SECOND = 10
export const CIRCUIT_BURST = 300

/** Milliseconds that a node has for its certificate after it opened a relay stream. */
export const REGISTER_TIMEOUT_MS = 10_000
/** Names that one node may ask for over time, a second, and at once. */
export const NAMES_PER_SECOND = 50
export const NAME_BURST = 2_500
/** Names that all nodes together may watch, each node's counted: some hundred bytes of memory each. */
export const MAX_WATCHES = 400_000
/** Frames that one node may send over time, a second, and at once. */
export const FRAMES_PER_SECOND = 20
export const FRAME_BURST = 200
/** Certificates that one node may show over time, a second, and at once: each costs a signature check. */
export const REGISTRATIONS_PER_SECOND = 0.2
export const REGISTRATION_BURST = 5

/** Milliseconds that the WebRTC-Direct certificate is valid. */
export const WEBRTC_CERTIFICATE_MS: number = 366 * 24 * 60 * 60_000
/** Milliseconds before its end at which a start of the relay makes a new one. */
export const WEBRTC_CERTIFICATE_RENEW_MS: number = 30 * 24 * 60 * 60_000

/** Writes of mail in one commit: what keeps the process from all else for some milliseconds. */
export const MAX_COMMIT_WRITES = 128
/** Mails removed in one commit. */
export const REMOVALS_PER_COMMIT = 200
/** Mailboxes whose record and counts are kept in memory, some kilobytes each. */
export const MAX_CACHED_MAILBOXES = 10_000

/** Milliseconds that one NATS request may take, and a write with its repetitions: less than who leaves mail waits. */
export const NATS_ANSWER_MS = 3_000
export const NATS_DEADLINE_MS = 25_000
/** Milliseconds between repetitions, and between attempts to connect. */
export const NATS_RETRY_MS = 250
export const NATS_RECONNECT_MS = 500
/** Milliseconds between pings of a server; two without an answer and another server is taken. */
export const NATS_PING_MS = 5_000
/** Milliseconds between signs of life of what a stream is followed by, and without one until it is begun anew. */
export const NATS_HEARTBEAT_MS = 1_000
export const NATS_SILENCE_MS = 3_000
/** Messages asked for ahead when a stream is followed. */
export const NATS_FOLLOW_AHEAD = 1_000
/** Bytes that a stream may hold beyond those for deposits: what several relays write at once. */
export const NATS_STREAM_RESERVE_BYTES: number = 256 * 1024 * 1024
/** Mails that all mailboxes in a cluster hold: each relay keeps some 200 bytes of each in memory. */
export const NATS_MAX_MAILS = 1_000_000
/** Bytes that a mail takes in a stream beside its own, at most. */
export const NATS_MAIL_OVERHEAD_BYTES = 512
/** Messages removed at once. */
export const NATS_PARALLEL_REMOVALS = 32
/** Milliseconds that the end of a mailbox is remembered, for other relays to learn of it. */
export const NATS_TOMBSTONE_MS: number = 24 * 60 * 60_000

/** Frames that one mailbox stream may send over time, a second, and at once; each has 64 KiB at most. */
export const MAIL_FRAMES_PER_SECOND = 2_000
export const MAIL_FRAME_BURST = 4_000
/** Bytes that one unit of the rate of deposits stands for. */
export const MAIL_RATE_BYTES = 4_096
/** Units of the rate of deposits that a registration counts for: two signatures are checked. */
export const REGISTRATION_RATE_COST = 16
/** Registrations and shelves whose signatures wait to be checked, 64 KiB each at most. */
export const MAX_WAITING_CHECKS = 1_000
/**
 * Mails that an address may leave for each mailbox that it may make, at once and over time: some forty at once, an office, and
 * one a minute, so that nobody uses up a relay's mailboxes and disk by names that cost nothing. As many names it may publish
 * the first record of, since each record goes to many relays.
 */
export const MAILS_PER_NAME_AT_ONCE = 100
export const MAILS_PER_NAME_OVER_TIME = 12_000
/** Users of one name whose keys a relay keeps a shelf of. */
export const MAX_SHELVES = 64
/** Units of the rate of deposits that a question for a shelf counts for, and that putting one there does: a signature is checked. */
export const SHELF_ASK_COST = 4
export const SHELF_STOCK_COST = 16
/** The same for each device whose key is asked for: giving one out is a write. */
export const CLAIM_COST = 1
/** One-time keys that an address may take over time, a second, and at once; after that it gets fallback keys. */
export const CLAIMS_PER_SECOND = 0.1
export const CLAIM_BURST = 200
/** Hexadecimal digits by which those who bring records are told apart: of all addresses, a million share the three of each. */
export const SOURCE_TAG_CHARS = 3
/** Addresses whose rate is remembered; the one not heard of for longest is forgotten first. */
export const MAX_SOURCES = 20_000
/** Bytes of mail that have come and are not on disk yet: of all, and of one address. */
export const MAX_DEPOSIT_BYTES: number = 64 * 1024 * 1024
export const MAX_SOURCE_DEPOSIT_BYTES: number = 16 * 1024 * 1024
/** Bytes of mail that is on its way to owners and not taken by them yet. */
export const MAX_FETCH_BYTES_UNDER_WAY: number = 128 * 1024 * 1024
/** Milliseconds after which a stream that nobody registered on, and on which nothing comes, is closed. */
export const MAIL_IDLE_MS = 120_000
/** Milliseconds between removals of what expired. */
export const EXPIRY_INTERVAL_MS = 600_000
/** Milliseconds that the clock must have gone evenly before it is believed about what expired, which is gone for good then. */
export const STEADY_CLOCK_MS = 3_600_000
/** Days before and after its own that a relay takes a proof of work for: clocks and time zones differ. */
export const PROOF_DAYS = 1

/**
 * Published records of names that have a mailbox here, as many of other nodes that are registered here, and those that the DHT brought:
 * the oldest of who brought most gives way.
 */
export const MAX_OWN_RECORDS = 50_000
export const MAX_FOREIGN_RECORDS = 50_000
/** Records of one name among them: its account, devices, aliases and listing. */
export const MAX_RECORDS_PER_NAME = 64
/** Bytes of records in memory, of each of the three. */
export const MAX_RECORD_STORE_BYTES: number = 64 * 1024 * 1024
/** Milliseconds that changed records are collected before they are saved. */
export const RECORD_SAVE_MS = 1_000
/** Milliseconds after which the relay puts its nodes' records into the DHT again, and between looks at what is due. */
export const REPUBLISH_MS: number = 12 * 60 * 60_000
export const REPUBLISH_CHECK_MS = 10_000
/** Servers that are to have a record, as far as there are as many: with fewer it is put again sooner, ever more seldom. */
export const ENOUGH_COPIES = 8
/** Records that are put into the DHT at once, and milliseconds that one may take. */
export const MAX_PARALLEL_PUTS = 4
export const DHT_PUT_MS = 30_000
/** Relays that the operator named which a record is put to, near to its key or not. */
export const MAX_NAMED_PUTS = 4
/**
 * Networks whose servers are to have a record, near to its key or not; servers that are tried for it, and at once, and milliseconds
 * that this may take.
 */
export const ENOUGH_NETWORKS = 16
export const MAX_SPREAD_PUTS = 64
export const MAX_PARALLEL_SPREADS = 4
export const SPREAD_MS = 10_000
/** Records waiting to be put; further ones are put at the next look. */
export const MAX_WAITING_PUTS = 1_000
/** Records that one node may publish over time, a second, and at once: each costs a signature check. */
export const RECORDS_PER_SECOND = 0.5
export const RECORD_BURST = 70
/** Streams of the DHT that one connection may have open at once. */
export const MAX_DHT_STREAMS = 32
/** Milliseconds between looks whether the other relays that the operator named are connected, and for dialling one. */
export const PEER_CHECK_MS = 30_000
export const PEER_DIAL_MS = 10_000
