import { MAX_FRAME_BODY } from './limits.ts'

/** u32 bytes that follow, u32 request id, u8 kind; then the body. Big-endian. */
export const FRAME_HEADER_BYTES = 9
const BYTES_AFTER_LENGTH = 5

export type Frame = { readonly id: number; readonly kind: number; readonly body: Uint8Array }

/** Why a byte sequence is not one of frames. */
export type FrameFault = 'frame too short' | 'frame too long'

/** @throws RangeError when the body is longer than a frame may be: the caller splits first. */
export function encodeFrame(kind: number, id: number, body: Uint8Array): Uint8Array {
  if (body.length > MAX_FRAME_BODY) throw new RangeError(`A frame of ${body.length} bytes is too long`)
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + body.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, BYTES_AFTER_LENGTH + body.length)
  view.setUint32(4, id)
  view.setUint8(8, kind)
  bytes.set(body, FRAME_HEADER_BYTES)
  return bytes
}

/** Cuts a byte stream into frames. Holds at most one unfinished frame. */
export interface FrameReader {
  /**
   * The frames that `bytes` complete. Never throws. After a fault nothing more is read.
   * Bodies are copies: they stay valid when the caller's buffer is used again.
   */
  push(bytes: Uint8Array): { readonly frames: readonly Frame[]; readonly fault?: FrameFault }
  /** Bytes of the unfinished frame. */
  readonly buffered: number
}

export function createFrameReader(): FrameReader {
  const header = new Uint8Array(FRAME_HEADER_BYTES)
  const view = new DataView(header.buffer)
  let headerBytes = 0
  let body = new Uint8Array(0)
  let bodyBytes = 0
  let fault: FrameFault | undefined

  /** Reads one step of `bytes` from `offset`; answers the offset behind it. */
  function readHeader(bytes: Uint8Array, offset: number): number {
    const end = Math.min(bytes.length, offset + FRAME_HEADER_BYTES - headerBytes)
    header.set(bytes.subarray(offset, end), headerBytes)
    headerBytes += end - offset
    if (headerBytes >= 4) {
      const length = view.getUint32(0)
      if (length < BYTES_AFTER_LENGTH) fault = 'frame too short'
      else if (length > BYTES_AFTER_LENGTH + MAX_FRAME_BODY) fault = 'frame too long'
      else if (headerBytes === FRAME_HEADER_BYTES) {
        body = new Uint8Array(length - BYTES_AFTER_LENGTH)
        bodyBytes = 0
      }
    }
    return end
  }

  return {
    push(bytes) {
      const frames: Frame[] = []
      let offset = 0
      while (fault === undefined) {
        if (headerBytes < FRAME_HEADER_BYTES) {
          if (offset === bytes.length) break
          offset = readHeader(bytes, offset)
          continue
        }
        const end = Math.min(bytes.length, offset + body.length - bodyBytes)
        body.set(bytes.subarray(offset, end), bodyBytes)
        bodyBytes += end - offset
        offset = end
        if (bodyBytes < body.length) break
        frames.push({ id: view.getUint32(4), kind: view.getUint8(8), body })
        headerBytes = 0
      }
      return fault === undefined ? { frames } : { frames, fault }
    },
    get buffered() {
      if (fault !== undefined) return 0
      return headerBytes < FRAME_HEADER_BYTES ? headerBytes : headerBytes + bodyBytes
    },
  }
}
