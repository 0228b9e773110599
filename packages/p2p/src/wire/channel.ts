import { createFrameReader, encodeFrame, type Frame } from './frame.ts'
import { MAX_WRITE_BACKLOG } from './limits.ts'

/** What framing needs of a libp2p stream; a `Stream` is one. */
export interface ByteStream {
  /** Bytes taken by `send` that the transport has not taken yet. */
  readonly writeBufferLength: number
  send(data: Uint8Array): boolean
  close(options?: { signal?: AbortSignal }): Promise<void>
  abort(error: Error): void
  addEventListener(
    type: 'message',
    listener: (event: { readonly data: Uint8Array | { subarray(): Uint8Array } }) => void,
  ): void
  addEventListener(type: 'drain' | 'idle' | 'remoteCloseWrite', listener: () => void): void
  addEventListener(type: 'close', listener: (event: { readonly error?: Error }) => void): void
}

export type ChannelHandlers = {
  /** Called in order; not after `closed`. */
  frame(frame: Frame): void
  /** The stream's buffer has room again. */
  writable(): void
  /** Called once, whatever ended the stream. */
  closed(reason: string): void
  /** Called once, not before `closed`: the stream is gone both ways, all that was sent has been read or never will be. */
  ended?(): void
}

/** Frames over one stream. Writes of one turn go out as one piece. */
export interface FrameChannel {
  readonly open: boolean
  /** Bytes not yet taken by the transport. */
  readonly backlog: number
  /** Queues a frame; nothing happens on a closed channel. */
  send(kind: number, id: number, body?: Uint8Array): void
  /** Sends what is queued, then closes. */
  close(reason: string): void
  /** Drops what is queued. */
  abort(reason: string): void
}

/** Milliseconds that a closing stream may take to send what is queued and to hear that the other side is done too. */
const CLOSE_TIMEOUT_MS = 5_000

const NOTHING = new Uint8Array(0)

export function createFrameChannel(stream: ByteStream, handlers: ChannelHandlers): FrameChannel {
  const reader = createFrameReader()
  let queue: Uint8Array[] = []
  let queuedBytes = 0
  let open = true

  function finish(reason: string): void {
    if (!open) return
    open = false
    queue = []
    queuedBytes = 0
    handlers.closed(reason)
  }

  function abort(reason: string): void {
    if (!open) return
    stream.abort(new Error(reason))
    finish(reason)
  }

  function flush(): void {
    if (queue.length === 0) return
    const bytes = new Uint8Array(queuedBytes)
    let offset = 0
    for (const frame of queue) {
      bytes.set(frame, offset)
      offset += frame.length
    }
    queue = []
    queuedBytes = 0
    try {
      stream.send(bytes)
    } catch (error) {
      abort(error instanceof Error ? error.message : 'the stream took no data')
    }
  }

  function close(reason: string): void {
    if (!open) return
    flush()
    finish(reason)
    const signal = AbortSignal.timeout(CLOSE_TIMEOUT_MS)
    signal.addEventListener('abort', () => stream.abort(new Error('close took too long')))
    stream.close({ signal }).catch((error: unknown) => {
      stream.abort(error instanceof Error ? error : new Error('close failed'))
    })
  }

  stream.addEventListener('message', (event) => {
    if (!open) return
    const data = event.data instanceof Uint8Array ? event.data : event.data.subarray()
    const { frames, fault } = reader.push(data)
    for (const frame of frames) {
      handlers.frame(frame)
      if (!open) return
    }
    if (fault !== undefined) abort(fault)
  })
  const onRoom = (): void => {
    if (open) handlers.writable()
  }
  stream.addEventListener('drain', onRoom)
  stream.addEventListener('idle', onRoom)
  stream.addEventListener('close', (event) => {
    finish(event.error?.message ?? 'stream closed')
    handlers.ended?.()
  })
  stream.addEventListener('remoteCloseWrite', () => close('the other side closed the stream'))

  return {
    get open() {
      return open
    },
    get backlog() {
      return queuedBytes + stream.writeBufferLength
    },
    send(kind, id, body = NOTHING) {
      if (!open) return
      const frame = encodeFrame(kind, id, body)
      if (queuedBytes + stream.writeBufferLength + frame.length > MAX_WRITE_BACKLOG) {
        abort('the other side does not read')
        return
      }
      queue.push(frame)
      queuedBytes += frame.length
      if (queue.length === 1) queueMicrotask(flush)
    },
    close,
    abort,
  }
}
