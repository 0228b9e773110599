/** An inbound request whose origin is proven, and the parameters in its URI. */
import type { JsonObject, JsonValue, ServerName } from '@plexus/core'
import { isJsonObject } from '@plexus/core'
import { ApiError, type Answer } from './answer.ts'
import { MAX_PARAMETER_LENGTH } from './bounds.ts'
import { applySchema, type Schema } from './schema.ts'

/** What a request asks. */
export type OpenRequest = {
  /** Parameters of the path, decoded. */
  readonly path: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** The parsed body; `undefined` when there is none. */
  readonly content: JsonValue | undefined
}

export type ProvenRequest = OpenRequest & {
  /** Its key signed the request. */
  readonly origin: ServerName
  /** From the envelope, which requests over HTTPS have not. */
  readonly incarnation?: string
  readonly sequence?: number
  /** The same when the same request comes again, and no other's. Over HTTPS no two requests are known to be the same. */
  readonly requestId: string
}

export type Method = 'GET' | 'PUT' | 'POST'

type EndpointOf<Services, Request> = {
  readonly method: Method
  /** Names in braces stand for one path segment each. */
  readonly path: string
  /** @throws ApiError, RoomError or UserError for a refusal. */
  readonly handle: (services: Services, request: Request) => Promise<Answer>
}

/** An endpoint that anybody may ask, without a signature. */
export type OpenEndpoint<Services> = EndpointOf<Services, OpenRequest> & { readonly open: true }

export type SignedEndpoint<Services> = EndpointOf<Services, ProvenRequest> & {
  readonly open?: never
  /** The same request may come again: it changes nothing twice and its answer tells nothing new. */
  readonly repeatable?: true
  /** Without an envelope the same request is processed once: its sender repeats it until it has an answer. */
  readonly isTransaction?: true
}

/** One endpoint of the Server-Server API, as it answers others. */
export type Endpoint<Services> = OpenEndpoint<Services> | SignedEndpoint<Services>

/** The body by its schema. @throws ApiError M_BAD_JSON. */
export function bodyOf<T>(request: OpenRequest, schema: Schema<T>): T {
  const result = applySchema(schema, request.content)
  if (result.kind === 'wrong') throw new ApiError(400, 'M_BAD_JSON', result.why)
  return result.value
}

/** @throws ApiError M_BAD_JSON for anything but an object. */
export function objectBody(request: OpenRequest): JsonObject {
  if (!isJsonObject(request.content)) throw new ApiError(400, 'M_BAD_JSON', 'the body is not an object')
  return request.content
}

/** A path parameter by its schema. @throws ApiError M_INVALID_PARAM. */
export function pathOf<T extends string>(request: OpenRequest, name: string, schema: Schema<T>): T {
  return parameter(name, request.path[name], schema)
}

/** A query parameter by its schema. @throws ApiError M_MISSING_PARAM, M_INVALID_PARAM. */
export function queryOf<T extends string>(request: OpenRequest, name: string, schema: Schema<T>): T {
  return parameter(name, request.query.get(name) ?? undefined, schema)
}

/** A query parameter that is `true` or `false`; false if absent. @throws ApiError M_INVALID_PARAM. */
export function flagOf(request: OpenRequest, name: string): boolean {
  const value = request.query.get(name) ?? 'false'
  if (value !== 'true' && value !== 'false')
    throw new ApiError(400, 'M_INVALID_PARAM', `${name} is neither true nor false`)
  return value === 'true'
}

/** The same where it may be missing. */
export function optionalQuery<T extends string>(
  request: ProvenRequest,
  name: string,
  schema: Schema<T>,
): T | undefined {
  return request.query.has(name) ? queryOf(request, name, schema) : undefined
}

function parameter<T extends string>(name: string, value: string | undefined, schema: Schema<T>): T {
  if (value === undefined) throw new ApiError(400, 'M_MISSING_PARAM', `${name} is missing`)
  if (value.length > MAX_PARAMETER_LENGTH) throw new ApiError(400, 'M_INVALID_PARAM', `${name} is too long`)
  const result = applySchema(schema, value)
  if (result.kind === 'wrong') throw new ApiError(400, 'M_INVALID_PARAM', `${name}: ${result.why}`)
  return result.value
}
