/** An outbound request: what to ask, and the shape that its answer must have. */
import type { JsonObject } from '@plexus/core'
import { FederationError } from '@plexus/engine/ports'
import { MAX_SMALL_ANSWER_BYTES } from './bounds.ts'
import type { Method } from './request.ts'
import type { Schema } from './schema.ts'

export type Call<T> = {
  readonly method: Method
  /** Path and query, encoded. */
  readonly uri: string
  readonly content?: JsonObject
  readonly answer: Schema<T>
  /** Bytes of the largest answer; `MAX_SMALL_ANSWER_BYTES` if absent. */
  readonly maxBytes?: number
  /** The answer carries events, which are checked one by one: none that is nested too deep spoils the others. */
  readonly holdsEvents?: true
  /** Milliseconds that the answer is waited for unless the caller says otherwise; `DEFAULT_TIMEOUT_MS` if absent. */
  readonly timeoutMs?: number
  /** Orders the durable EDUs of a transaction. */
  readonly sequence?: number
}

export function maxBytesOf(call: Call<unknown>): number {
  return call.maxBytes ?? MAX_SMALL_ANSWER_BYTES
}

/** Fills the braces of an endpoint's path, and adds the query. */
export function uriOf(
  path: string,
  parameters: Readonly<Record<string, string>> = {},
  query: readonly (readonly [name: string, value: string])[] = [],
): string {
  const filled = path.replaceAll(/\{([a-zA-Z]+)\}/g, (_, name: string) => segment(parameters[name] ?? ''))
  if (query.length === 0) return filled
  return `${filled}?${new URLSearchParams(query.map(([name, value]) => [name, value])).toString()}`
}

/** A segment that is empty or made of dots would name another path to whoever normalises it. */
function segment(value: string): string {
  if (/^\.{0,2}$/.test(value))
    throw new FederationError({ status: 404, errcode: 'M_NOT_FOUND', error: 'no such name' })
  return encodeURIComponent(value.toWellFormed())
}
