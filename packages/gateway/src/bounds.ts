/** Bounds of federation over HTTPS; those of libp2p are the same. */

/** Bytes of a request: 50 PDUs of 65,536 bytes and 100 EDUs fit with room to spare. */
export const MAX_REQUEST_BYTES: number = 12 * 1024 * 1024
/** Bytes of a response's body: a media download, or the state of a large room. */
export const MAX_RESPONSE_BYTES: number = 64 * 1024 * 1024
/** Requests under way from one address, and from all; further ones are told to come later. */
export const MAX_REQUESTS_PER_ADDRESS = 64
export const MAX_REQUESTS_AT_ONCE = 512
/** Bytes of the bodies of requests that are not answered yet: of those of one address, and of all. */
export const MAX_BODIES_BYTES_PER_ADDRESS: number = 24 * 1024 * 1024
export const MAX_BODIES_BYTES: number = 96 * 1024 * 1024
/** The same of answers that are on their way, `MAX_RESPONSE_BYTES` each at most. Those up to `SMALL_ANSWER_BYTES` are never refused. */
export const MAX_ANSWERS_BYTES_PER_ADDRESS: number = 64 * 1024 * 1024
export const MAX_ANSWERS_BYTES: number = 256 * 1024 * 1024
export const SMALL_ANSWER_BYTES: number = 64 * 1024
/** Requests a second of one address, and of one server, over time and at once. */
export const REQUESTS_PER_SECOND = 200
export const REQUEST_BURST = 1_000
/** Addresses, and servers, whose budgets are remembered. */
export const MAX_BUDGETS = 10_000
/** Milliseconds in which the other side must have taken something of an answer. */
export const SLOW_READER_MS = 30_000
