/** A client that speaks to a node's Client-Server API and checks every answer against the official definitions. */
import type { ClientApi } from '@plexus/client-api'
import { isJsonObject, type JsonObject, type JsonValue, type UserId } from '@plexus/core'
import type { Member } from './node.ts'
import { createSpecValidator, type SpecValidator } from './spec-validation.ts'

/** `body` is empty when the answer is not JSON. */
export type Answer = {
  readonly status: number
  readonly body: JsonObject
  readonly bytes: Uint8Array
  readonly headers: Headers
}

export type AskInit = {
  readonly query?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: JsonValue
  /** In place of a JSON body. */
  readonly upload?: { readonly bytes: Uint8Array<ArrayBuffer>; readonly contentType: string }
  readonly signal?: AbortSignal
}

export interface ApiClient {
  readonly userId: UserId
  /** Path below `/_matrix/client/`, or from `/` on; parts in it are already encoded. @throws when the answer breaks the specification. */
  ask(method: string, path: string, init?: AskInit): Promise<Answer>
  /** As `ask`, for requests that must succeed. */
  ok(method: string, path: string, init?: AskInit): Promise<JsonObject>
  /** As `ask`, for requests that must fail: the status and errcode. */
  fails(method: string, path: string, init?: AskInit): Promise<readonly [status: number, errcode: string]>
}

/** What was asked, as `GET /_matrix/client/v3/sync`, with the statuses that came. */
export type Coverage = Map<string, Set<number>>

let shared: SpecValidator | undefined

/** Path segments, each percent-encoded. */
export function at(strings: TemplateStringsArray, ...parts: readonly string[]): string {
  return strings.reduce((path, text, index) => path + encodeURIComponent(parts[index - 1] ?? '') + text)
}

function urlOf(path: string, query: AskInit['query'] = {}): URL {
  const url = new URL(path, 'http://node/_matrix/client/')
  for (const [name, value] of Object.entries(query)) {
    for (const one of typeof value === 'string' ? [value] : value) url.searchParams.append(name, one)
  }
  return url
}

export function createApiClient(
  serve: ClientApi,
  session: { readonly userId: UserId; readonly accessToken: string | undefined },
  coverage: Coverage = new Map(),
): ApiClient {
  shared ??= createSpecValidator()
  const validator = shared
  const ask: ApiClient['ask'] = async (method, path, init = {}) => {
    const url = urlOf(path, init.query)
    const headers = new Headers()
    if (session.accessToken !== undefined) headers.set('Authorization', `Bearer ${session.accessToken}`)
    if (init.upload !== undefined) headers.set('Content-Type', init.upload.contentType)
    const content = init.upload?.bytes ?? (init.body === undefined ? undefined : JSON.stringify(init.body))
    const response = await serve(
      new Request(url, {
        method,
        headers,
        ...(content === undefined ? {} : { body: content }),
        ...(init.signal === undefined ? {} : { signal: init.signal }),
      }),
    )
    const bytes = new Uint8Array(await response.arrayBuffer())
    const isJson = response.headers.get('content-type') === 'application/json'
    const body = isJson ? (JSON.parse(new TextDecoder().decode(bytes)) as JsonObject) : undefined
    const { pathname } = url
    const operation = validator.find('client-server', method, pathname)
    const name = `${method} ${operation?.template ?? pathname}`
    coverage.set(name, (coverage.get(name) ?? new Set()).add(response.status))
    const problems = validator.problems('client-server', method, pathname, response.status, body) ?? []
    if (problems.length > 0)
      throw new Error(`${name} ${response.status}: ${problems.join('; ')}\n${JSON.stringify(body)}`)
    if (response.headers.get('access-control-allow-origin') !== '*') throw new Error(`${name}: no CORS`)
    return { status: response.status, body: body ?? {}, bytes, headers: response.headers }
  }
  return {
    userId: session.userId,
    ask,
    async ok(method, path, init) {
      const { status, body } = await ask(method, path, init)
      if (status !== 200) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(body)}`)
      return body
    },
    async fails(method, path, init) {
      const { status, body } = await ask(method, path, init)
      if (status < 400) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(body)}`)
      return [status, text(body, 'errcode')]
    },
  }
}

/** The client of a network's member. */
export async function clientOf({ node, user, deviceId }: Member, coverage?: Coverage): Promise<ApiClient> {
  const { accessToken } = await node.engine.users.accounts.openSession(user, { deviceId })
  return createApiClient(node.clientApi, { userId: user, accessToken }, coverage)
}

/** The value at a path of keys; `undefined` when something on the way is missing. */
export function pick(
  value: JsonValue | undefined,
  ...keys: readonly (string | number)[]
): JsonValue | undefined {
  let found = value
  for (const key of keys) {
    if (typeof key === 'number') found = Array.isArray(found) ? found.at(key) : undefined
    else found = isJsonObject(found) ? found[key] : undefined
  }
  return found
}

/** The objects of the array at a path of keys; empty when there is none. */
export function list(
  value: JsonValue | undefined,
  ...keys: readonly (string | number)[]
): readonly JsonObject[] {
  const found = pick(value, ...keys)
  return Array.isArray(found) ? found.filter((item) => isJsonObject(item)) : []
}

/** The string at a path of keys. @throws when there is none. */
export function text(value: JsonValue | undefined, ...keys: readonly (string | number)[]): string {
  const found = pick(value, ...keys)
  if (typeof found !== 'string') throw new Error(`no text at ${keys.join('.')} of ${JSON.stringify(value)}`)
  return found
}
