/**
 * Bounds of the wire protocols. Both sides of a stream hold to the same ones, so a peer that goes beyond them is
 * faulty or hostile and its stream is closed.
 */

/** Bytes of a frame's body. Small, so that a ping never waits long behind a picture. */
export const MAX_FRAME_BODY = 65_536

/** Bytes of a request: 50 PDUs of 65,536 bytes and 100 EDUs fit with room to spare. */
export const MAX_REQUEST_BYTES: number = 12 * 1024 * 1024

/** Bytes of a response's body: a media download, or the state of a large room. */
export const MAX_RESPONSE_BYTES: number = 64 * 1024 * 1024

/** Bytes of a response's JSON header. */
export const MAX_RESPONSE_HEADER_BYTES = 16_384

/** Bytes of request and response frames under way that the receiver has not yet given credit for. */
export const CREDIT_WINDOW: number = 1024 * 1024

/** The receiver gives credit back when this many bytes are due. */
export const CREDIT_STEP: number = CREDIT_WINDOW / 4

/** Bytes that a stream may hold unsent before more request and response frames are handed to it. */
export const WRITE_HIGH_WATER: number = 256 * 1024

/** Bytes that a stream may hold unsent in all; beyond it the peer does not read, and the stream is closed. */
export const MAX_WRITE_BACKLOG: number = 4 * 1024 * 1024

/** Requests under way from one side of a stream; the other side refuses more. */
export const MAX_IN_FLIGHT = 64

/** Requests waiting for a place among those under way, per peer. */
export const MAX_WAITING_REQUESTS = 256

/** Bytes of requests and responses queued to one peer. */
export const MAX_QUEUED_BYTES: number = 96 * 1024 * 1024

/** Bytes of unfinished requests and responses kept from one peer. */
export const MAX_ASSEMBLY_BYTES: number = 96 * 1024 * 1024

/** Requests a second of one peer that are handled over time, and at once; further ones wait, up to `MAX_IN_FLIGHT`. */
export const REQUESTS_PER_SECOND = 500
export const REQUEST_BURST = 1_000

/** Control frames (pings, cancellations, certificates) a second that one peer may send over time, and at once. */
export const CONTROL_FRAMES_PER_SECOND = 100
export const CONTROL_FRAME_BURST = 1_000

/** Own addresses that a peer may tell in its certificate frame, and characters of each. */
export const MAX_HELLO_ADDRESSES = 8
export const MAX_ADDRESS_LENGTH = 512

/** Names in one look-up or watch frame at a relay. */
export const MAX_NAMES_PER_FRAME = 64

/** Names that one node may watch at one relay. */
export const MAX_WATCHED_NAMES = 1_024

/** Devices of one name that a relay lists. */
export const MAX_DEVICES_PER_NAME = 8

/** Characters of a server name. spec: appendices.md "Server Name" */
export const MAX_NAME_LENGTH = 255

/** Bytes of a sealed mail: the largest size bucket, the encapsulated key and the authentication tag, with room to spare. */
export const MAX_MAIL_BYTES: number = 1024 * 1024 + 1_024

/** Bytes of a sealed mail of somebody without the recipient's access key: bucket 64 KiB. */
export const MAX_STRANGER_MAIL_BYTES: number = 64 * 1024 + 1_024

/** Bytes of the JSON header of a mail. */
export const MAX_MAIL_HEADER_BYTES = 1_024

/** Characters of a registration token. */
export const MAX_TOKEN_LENGTH = 256

/** Mails in one answer to a fetch, and bytes of all but the first. */
export const MAX_MAILS_PER_FETCH = 256
export const MAX_FETCH_BYTES: number = 1024 * 1024

/** The same of an answer with what came last: a glance, which is all there is of most mailboxes. */
export const MAX_LAST_MAILS = 32
export const MAX_LAST_BYTES: number = 128 * 1024

/** Deposits of one stream that wait for their answer; the relay refuses more. */
export const MAX_DEPOSITS_IN_FLIGHT = 64

/** Zero bits of a proof of work that a node makes for a relay: some seconds of a phone, since other mail waits for it. */
export const MAX_PROOF_BITS = 20
/** Milliseconds that a relay keeps mail for at least: what goes sooner would be left again all the time. */
export const MIN_RETENTION_MS: number = 24 * 3_600_000

/** Keys of records in one question to a relay. */
export const MAX_KEYS_PER_FRAME = 16

/** One-time keys of one device on a key shelf, and the bytes of one as JSON in UTF-8. */
export const MAX_SHELF_KEYS = 50
export const MAX_SHELF_KEY_BYTES = 1_024

/** Characters of a device id. */
export const MAX_DEVICE_ID_LENGTH = 255
