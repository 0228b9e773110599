import type { ByteStream } from '../wire/channel.ts'

/** One end of a stream in memory. */
export interface TestStream extends ByteStream {
  /** Everything that this end sent. */
  readonly sent: Uint8Array[]
  /** While true, what the other end sends stays in its buffer. */
  stalled: boolean
  readonly status: 'open' | 'closed' | 'aborted'
}

type Listeners = {
  message: ((event: { readonly data: Uint8Array }) => void)[]
  drain: (() => void)[]
  idle: (() => void)[]
  remoteCloseWrite: (() => void)[]
  close: ((event: { readonly error?: Error }) => void)[]
}

class End implements TestStream {
  readonly sent: Uint8Array[] = []
  status: 'open' | 'closed' | 'aborted' = 'open'
  writeBufferLength = 0
  #stalled = false
  #closing = false
  #otherClosed = false
  #unsent: Uint8Array[] = []
  #other: End | undefined
  readonly #listeners: Listeners = { message: [], drain: [], idle: [], remoteCloseWrite: [], close: [] }

  join(other: End): void {
    this.#other = other
  }

  get stalled(): boolean {
    return this.#stalled
  }

  set stalled(value: boolean) {
    this.#stalled = value
    this.#other?.flush()
  }

  addEventListener(type: keyof Listeners, listener: (event: never) => void): void {
    const list = this.#listeners[type] as ((event: never) => void)[]
    list.push(listener)
  }

  send(data: Uint8Array): boolean {
    if (this.status !== 'open' || this.#closing) throw new Error('Cannot write to a stream that is closed')
    this.sent.push(data)
    this.#unsent.push(data)
    this.writeBufferLength += data.length
    queueMicrotask(() => this.flush())
    return true
  }

  flush(): void {
    const other = this.#other
    if (other === undefined || other.stalled) return
    this.#flushTo(other)
    if (this.#closing) other.#closedByOther()
  }

  #flushTo(other: End): void {
    if (this.#unsent.length === 0) return
    const pieces = this.#unsent
    this.#unsent = []
    this.writeBufferLength = 0
    for (const data of pieces) {
      if (other.status === 'open') for (const listener of other.#listeners.message) listener({ data })
    }
    for (const listener of this.#listeners.idle) listener()
  }

  /** Closes this direction; the stream is gone when the other end has read all and closed its own. */
  close(): Promise<void> {
    this.#closing = true
    this.flush()
    return Promise.resolve()
  }

  #closedByOther(): void {
    if (this.status !== 'open' || this.#otherClosed) return
    this.#otherClosed = true
    for (const listener of this.#listeners.remoteCloseWrite) listener()
    this.#endIfBothClosed()
    if (this.#other !== undefined) this.#other.#endIfBothClosed()
  }

  #endIfBothClosed(): void {
    if (this.#closing && this.#otherClosed && this.status === 'open') this.#end('closed')
  }

  abort(error: Error): void {
    if (this.status !== 'open') return
    this.#end('aborted', error)
    this.#other?.abort(new Error('The stream has been reset'))
  }

  #end(status: 'closed' | 'aborted', error?: Error): void {
    this.status = status
    this.#unsent = []
    this.writeBufferLength = 0
    for (const listener of this.#listeners.close) listener(error === undefined ? {} : { error })
  }
}

/** The two ends of a stream in memory. */
export function createStreamPair(): readonly [TestStream, TestStream] {
  const [one, two] = [new End(), new End()]
  one.join(two)
  two.join(one)
  return [one, two]
}
