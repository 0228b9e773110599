/**
 * Calls between the page and its worker over one message channel, both ways. Arguments and answers are structured
 * clones; waiting is cancellable; an error keeps its name, its message and the data that the ports give it.
 */
import { errorOf, reviveError, type WireError } from './wire-error.ts'

/** What one side offers: one argument in, a promise out. */
export type Methods = { readonly [name: string]: (argument: never, signal: AbortSignal) => Promise<unknown> }

type ArgumentOf<M extends Methods, Name extends keyof M> = Parameters<M[Name]>[0]
type AnswerOf<M extends Methods, Name extends keyof M> = Awaited<ReturnType<M[Name]>>

/** A MessagePort, Worker or worker scope. */
export interface BridgePort {
  postMessage(message: unknown): void
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void
  removeEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void
}

export interface Bridge<Remote extends Methods> {
  /**
   * Calls the other side.
   * @throws what the other side threw, the signal's reason, or BridgeClosedError
   */
  call<Name extends keyof Remote & string>(
    name: Name,
    argument: ArgumentOf<Remote, Name>,
    options?: { readonly signal?: AbortSignal },
  ): Promise<AnswerOf<Remote, Name>>
  /** Fails every call under way and takes no more. */
  close(reason: string): void
}

/** The other side is gone; the page must be loaded again. */
class BridgeClosedError extends Error {
  override readonly name = 'BridgeClosedError'
}

type Message =
  | { readonly kind: 'call'; readonly id: number; readonly name: string; readonly argument: unknown }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: WireError }
  | { readonly kind: 'abort'; readonly id: number }

type Waiting = { readonly resolve: (value: unknown) => void; readonly reject: (error: unknown) => void }

/** `Remote` is what the other side offers; `local` what this side does. */
export function createBridge<Remote extends Methods>(port: BridgePort, local: Methods): Bridge<Remote> {
  const waiting = new Map<number, Waiting>()
  const serving = new Map<number, AbortController>()
  let lastId = 0
  let closed: BridgeClosedError | undefined

  const post = (message: Message): void => port.postMessage(message)

  async function serve(id: number, name: string, argument: unknown): Promise<void> {
    const abort = new AbortController()
    serving.set(id, abort)
    try {
      const method = Object.hasOwn(local, name) ? local[name] : undefined
      if (method === undefined) throw new TypeError(`the other side offers no ${name}`)
      const value = await method(argument as never, abort.signal)
      if (closed === undefined) post({ kind: 'answer', id, value })
    } catch (error) {
      if (closed === undefined) post({ kind: 'error', id, error: errorOf(error) })
    } finally {
      serving.delete(id)
    }
  }

  function settle(id: number): Waiting | undefined {
    const entry = waiting.get(id)
    waiting.delete(id)
    return entry
  }

  const listener = ({ data }: { readonly data: unknown }): void => {
    // Only code of this build posts here, so the shape is known.
    const message = data as Message
    switch (message.kind) {
      case 'call':
        void serve(message.id, message.name, message.argument)
        return
      case 'answer':
        settle(message.id)?.resolve(message.value)
        return
      case 'error':
        settle(message.id)?.reject(reviveError(message.error))
        return
      case 'abort':
        serving.get(message.id)?.abort()
    }
  }
  port.addEventListener('message', listener)

  return {
    async call(name, argument, options = {}) {
      if (closed !== undefined) throw closed
      const { signal } = options
      signal?.throwIfAborted()
      lastId += 1
      const id = lastId
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      waiting.set(id, { resolve, reject })
      const abort = (): void => {
        if (settle(id) === undefined) return
        post({ kind: 'abort', id })
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', abort, { once: true })
      try {
        post({ kind: 'call', id, name, argument })
        return (await promise) as never
      } finally {
        waiting.delete(id)
        signal?.removeEventListener('abort', abort)
      }
    },
    close(reason) {
      if (closed !== undefined) return
      closed = new BridgeClosedError(reason)
      port.removeEventListener('message', listener)
      for (const { reject } of waiting.values()) reject(closed)
      for (const abort of serving.values()) abort.abort()
      waiting.clear()
    },
  }
}
