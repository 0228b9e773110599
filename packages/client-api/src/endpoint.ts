/** How an endpoint is declared. */
import type { JsonObject, JsonValue } from '@plexus/core'
import { isJsonObject } from '@plexus/core'
import type { AppService } from '@plexus/engine'
import * as v from 'valibot'
import { readBytes, readJson } from './body.ts'
import { badJson } from './matrix-error.ts'
import type { RateClass } from './rate-limit.ts'
import type { ApiEngine, Requester } from './services.ts'
import { parseWith } from './validation.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'
export type Auth = 'none' | 'user' | 'optional'

/** Who asks: always there for `user`, perhaps for `optional`, never for `none`. */
export type RequesterOf<A extends Auth> = A extends 'user'
  ? Requester
  : A extends 'optional'
    ? Requester | undefined
    : undefined

export type Context<A extends Auth, Path, Query, Body> = {
  readonly engine: ApiEngine
  readonly requester: RequesterOf<A>
  /** The application service that asks, whoever it acts as. */
  readonly service: AppService | undefined
  /** As it came with the request. */
  readonly token: string | undefined
  readonly path: Path
  readonly query: Query
  readonly body: Body
  readonly request: Request
  /** Aborted when the client went away. */
  readonly signal: AbortSignal
  /** Where the client is, if that is known. */
  readonly address: string | undefined
  /** The raw body of an endpoint that declares no `body` schema. @throws MatrixError M_TOO_LARGE */
  readonly readBytes: (maxBytes: number) => Promise<Uint8Array<ArrayBuffer>>
}

/** A JSON answer with status 200, or a response of its own (see `jsonResponse`). CORS headers are added to both. */
export type Answer = JsonObject | Response

type NoFields = v.GenericSchema<unknown, Readonly<Record<string, never>>>
const noFields: NoFields = v.object({})

export type Declaration<
  A extends Auth,
  Path extends v.GenericSchema,
  Query extends v.GenericSchema,
  Body extends v.GenericSchema,
> = {
  readonly method: Method
  /**
   * Template as in the specification: `/_matrix/client/v3/rooms/{roomId}/leave`. A trailing slash of the request is
   * not looked at, and a parameter is never empty.
   */
  readonly path: string
  /** Further templates, for unstable names and optional last segments (their parameters are then undefined). */
  readonly aliases?: readonly string[]
  readonly auth: A
  /** A locked account may use it; it may use no other. */
  readonly whileLocked?: true
  /** A suspended account may not use it. */
  readonly whileSuspended?: false
  readonly rateLimit?: RateClass
  /** Of the decoded parameters, all strings. Needed when the template has any. */
  readonly pathSchema?: Path
  /** Of the query: a string for each name, an array of strings for a repeated one. */
  readonly querySchema?: Query
  /** Of the JSON body. Without it the body is not read. */
  readonly bodySchema?: Body
  readonly handler: (
    context: Context<A, v.InferOutput<Path>, v.InferOutput<Query>, v.InferOutput<Body>>,
  ) => Promise<Answer> | Answer
}

export type Parameters = Readonly<Record<string, string>>

/** What the framework knows of a request when its endpoint is to run. */
export type Invocation = {
  readonly engine: ApiEngine
  readonly requester: Requester | undefined
  readonly service: AppService | undefined
  readonly token: string | undefined
  readonly parameters: Parameters
  readonly url: URL
  readonly request: Request
  readonly address: string | undefined
}

/** A declared endpoint with its types closed over. */
export type Endpoint = {
  readonly method: Method
  readonly templates: readonly string[]
  readonly auth: Auth
  readonly whileLocked: boolean
  readonly whileSuspended: boolean
  readonly rateLimit: RateClass
  readonly run: (invocation: Invocation) => Promise<Answer>
}

/** Declares an endpoint; `path`, `query` and `body` of the handler have the types of the schemas. */
export function endpoint<
  A extends Auth,
  Path extends v.GenericSchema = NoFields,
  Query extends v.GenericSchema = NoFields,
  Body extends v.GenericSchema = NoFields,
>(declaration: Declaration<A, Path, Query, Body>): Endpoint {
  const { method, path, aliases = [], auth, rateLimit = 'none', handler } = declaration
  const { whileLocked = false, whileSuspended = true } = declaration
  const { bodySchema } = declaration
  const pathSchema: v.GenericSchema = declaration.pathSchema ?? noFields
  const querySchema: v.GenericSchema = declaration.querySchema ?? noFields
  return {
    method,
    templates: [path, ...aliases],
    auth,
    whileLocked,
    whileSuspended,
    rateLimit,
    async run({ engine, requester, service, token, address, parameters, url, request }) {
      return handler({
        engine,
        address,
        service,
        token,
        requester: requester as RequesterOf<A>,
        path: parseWith(pathSchema, 'path', parameters) as v.InferOutput<Path>,
        query: parseWith(querySchema, 'query', queryOf(url)) as v.InferOutput<Query>,
        body: bodySchema === undefined ? {} : parseWith(bodySchema, 'body', await readObject(request)),
        request,
        signal: request.signal,
        readBytes: (maxBytes) => readBytes(request, maxBytes),
      })
    },
  }
}

/** Every body of the API is an object; a schema of an object alone would take an array. */
async function readObject(request: Request): Promise<JsonObject> {
  const value = await readJson(request)
  if (!isJsonObject(value)) throw badJson('the body must be an object')
  return value
}

/** A JSON answer with a status other than 200, such as 401 with the flows of user-interactive authentication. */
export function jsonResponse(
  status: number,
  body: JsonValue,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'Content-Type': 'application/json', ...headers },
  })
}

function queryOf(url: URL): Readonly<Record<string, string | readonly string[]>> {
  const query = new Map<string, string | readonly string[]>()
  for (const name of new Set(url.searchParams.keys())) {
    const values = url.searchParams.getAll(name)
    query.set(name, values.length === 1 ? (values[0] ?? '') : values)
  }
  return Object.fromEntries(query)
}
