/** Bounds of federation over HTTPS; those of libp2p are the same. */

/** Bytes of a request: 50 PDUs of 65,536 bytes and 100 EDUs fit with room to spare. */
export const MAX_REQUEST_BYTES: number = 12 * 1024 * 1024
/** Bytes of a response's body: a media download, or the state of a large room. */
export const MAX_RESPONSE_BYTES: number = 64 * 1024 * 1024
/** Requests under way from one address, and from all; further ones are told to come later. */
export const MAX_REQUESTS_PER_ADDRESS = 64
export const MAX_REQUESTS_AT_ONCE = 512
