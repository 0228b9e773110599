/** Answers checked against the official definitions of the API (`test/vectors/api-schemas.json`). */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import schemas from '../vectors/api-schemas.json' with { type: 'json' }

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type JsonObject = { [key: string]: Json }

const BASE = 'spec:///'
/** spec: data/string-formats.yaml; those without a pattern there are not looked at. */
const FORMATS: Readonly<Record<string, RegExp | true>> = {
  'mx-user-id': /^@/,
  'mx-event-id': /^\$/,
  'mx-room-id': /^!/,
  'mx-room-alias': /^#/,
  'mx-server-name': true,
  'mx-mxc-uri': /^mxc:\/\//,
  'mx-unpadded-base64': true,
  'mx-urlsafe-unpadded-base64': true,
}

export type Operation = {
  readonly method: string
  readonly template: string
  readonly pointer: string
  readonly file: string
  /** Whether nobody may ask it without an access token. */
  readonly needsToken: boolean
}

export interface SpecValidator {
  /** The operations of an API: `client-server` or `server-server`. */
  operations(api: string): readonly Operation[]
  /**
   * What is wrong with an answer; empty when nothing is, `undefined` when the specification has no such endpoint. The
   * `body` of what is not JSON is `undefined`.
   */
  problems(
    api: string,
    method: string,
    pathname: string,
    status: number,
    body: unknown,
  ): readonly string[] | undefined
  /** The operation of a request. */
  find(api: string, method: string, pathname: string): Operation | undefined
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The schema as this validator takes it. */
function absoluteRefs(value: Json, path: string): Json {
  if (Array.isArray(value)) return value.map((item) => absoluteRefs(item, path))
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      // Some alternatives overlap: any object, or an event (data/api/client-server/rooms.yaml).
      if (key === 'oneOf') return ['anyOf', absoluteRefs(item, path)]
      if (key !== '$ref' || typeof item !== 'string') return [key, absoluteRefs(item, path)]
      return [key, new URL(item, `${BASE}${path}`).href]
    }),
  )
}

const escapePointer = (part: string): string =>
  encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))

function basePathOf(document: JsonObject): string {
  const server = Array.isArray(document['servers']) ? document['servers'][0] : undefined
  const variables = isObject(server) ? server['variables'] : undefined
  const base = isObject(variables) ? variables['basePath'] : undefined
  return isObject(base) && typeof base['default'] === 'string' ? base['default'] : ''
}

const literals = (template: string): number =>
  template.split('/').filter((segment) => !segment.startsWith('{')).length

/** A state key alone may be empty. */
const matches = (wanted: readonly string[], given: readonly string[]): boolean =>
  wanted.length === given.length &&
  wanted.every((segment, index) =>
    segment.startsWith('{') ? given[index] !== '' || segment === '{stateKey}' : segment === given[index],
  )

/** `security` is a list of alternatives, of which an empty one asks for nothing. */
function needsToken(definition: Json): boolean {
  const security = isObject(definition) ? definition['security'] : undefined
  if (!Array.isArray(security) || security.length === 0) return false
  return security.every((one) => isObject(one) && Object.keys(one).some((name) => /accessToken/i.test(name)))
}

export function createSpecValidator(): SpecValidator {
  const documents = schemas.documents as unknown as Record<string, JsonObject>
  const ajv = new Ajv2020({ strict: false, validateSchema: false, allErrors: false })
  addFormats.default(ajv)
  for (const [name, format] of Object.entries(FORMATS)) ajv.addFormat(name, format)
  for (const [path, document] of Object.entries(documents)) {
    ajv.addSchema(absoluteRefs(document, path) as object, `${BASE}${path}`, false, false)
  }
  const byApi = new Map<string, Operation[]>()
  for (const [file, document] of Object.entries(documents)) {
    const api = file.split('/')[2] ?? ''
    const paths = document['paths']
    if (!isObject(paths)) continue
    for (const [path, methods] of Object.entries(paths)) {
      if (!isObject(methods)) continue
      for (const [method, definition] of Object.entries(methods)) {
        // The same endpoint once more, for other bodies.
        if (path.endsWith(' ')) continue
        const pointer = `/paths/${escapePointer(path)}/${method}`
        const operation = {
          method: method.toUpperCase(),
          template: basePathOf(document) + path,
          pointer,
          file,
          needsToken: needsToken(definition),
        }
        byApi.set(api, [...(byApi.get(api) ?? []), operation])
      }
    }
  }
  for (const list of byApi.values()) list.sort((a, b) => literals(b.template) - literals(a.template))

  const responsesOf = ({ file, method, pointer }: Operation): JsonObject => {
    const paths = documents[file]?.['paths']
    const path = decodeURIComponent(pointer.split('/')[2] ?? '')
      .replaceAll('~1', '/')
      .replaceAll('~0', '~')
    const item = isObject(paths) ? paths[path] : undefined
    const operation = isObject(item) ? item[method.toLowerCase()] : undefined
    const responses = isObject(operation) ? operation['responses'] : undefined
    return isObject(responses) ? responses : {}
  }
  const compiled = new Map<string, ValidateFunction | undefined>()
  /** The schema of the JSON answer with this status, if the definition has one. */
  const validatorOf = (operation: Operation, status: number): ValidateFunction | undefined => {
    const { file, method, template, pointer } = operation
    const key = `${method} ${template} ${status}`
    if (compiled.has(key)) return compiled.get(key)
    const response = responsesOf(operation)[String(status)]
    const content = isObject(response) ? response['content'] : undefined
    const json = isObject(content) ? content['application/json'] : undefined
    const schema = isObject(json) && json['schema'] !== undefined
    const ref = `${BASE}${file}#${pointer}/responses/${status}/content/application~1json/schema`
    const validate = schema ? ajv.compile({ $ref: ref }) : undefined
    compiled.set(key, validate)
    return validate
  }
  const error = ajv.compile({ $ref: `${BASE}data/api/client-server/definitions/errors/error.yaml` })
  const interactive = ajv.compile({ $ref: `${BASE}data/api/client-server/definitions/auth_response.yaml` })

  const segments = new Map([...byApi.values()].flat().map((one) => [one, one.template.split('/')] as const))
  const find = (api: string, method: string, pathname: string): Operation | undefined => {
    const ofMethod = (byApi.get(api) ?? []).filter((one) => one.method === method)
    const at = (given: readonly string[]): Operation | undefined =>
      ofMethod.find((one) => matches(segments.get(one) ?? [], given))
    const given = pathname.split('/')
    // The last slash before an empty state key may be left out. spec: data/api/client-server/rooms.yaml
    return at(given) ?? at([...given, ''])
  }

  return {
    operations: (api) => byApi.get(api) ?? [],
    find,
    problems(api, method, pathname, status, body) {
      const operation = find(api, method, pathname)
      if (operation === undefined) return undefined
      if (status < 400 && responsesOf(operation)[String(status)] === undefined)
        return [`the definition has no status ${status}`]
      // Any endpoint may want a token, or more authentication, whether its definition says so or not.
      if (status === 401 && (error(body) || interactive(body))) return []
      const validate = validatorOf(operation, status) ?? (status >= 400 ? error : undefined)
      if (validate === undefined || validate(body)) return []
      return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
    },
  }
}
