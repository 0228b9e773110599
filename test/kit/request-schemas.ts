/** What requests look like by the official definitions of the API (`test/vectors/api-schemas.json`). */
import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
type JsonObject = { readonly [key: string]: Json }

const FILE = fileURLToPath(new URL('../vectors/api-schemas.json', import.meta.url))
/** A schema within a schema, from which on nothing is said any more: some contain themselves. */
const MAX_DEPTH = 8

/** A JSON Schema with its references followed and `allOf` merged. Without `types` it may be anything. */
export type Shape = {
  readonly types: readonly string[]
  readonly properties: Readonly<Record<string, Shape>>
  readonly required: readonly string[]
  /** Of the values whose keys are not among `properties`. */
  readonly additional?: Shape
  readonly items?: Shape
  readonly values?: readonly Json[]
  readonly choices?: readonly Shape[]
}

export type Parameter = { readonly name: string; readonly required: boolean; readonly shape: Shape }

export type RequestShape = {
  readonly method: string
  readonly template: string
  readonly path: readonly Parameter[]
  readonly query: readonly Parameter[]
  /** Of the JSON body; bytes when the definition says so. */
  readonly body?: Shape | 'bytes'
}

export const ANYTHING: Shape = { types: [], properties: {}, required: [] }

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const stringAt = (value: JsonObject, key: string): string => {
  const found = value[key]
  return typeof found === 'string' ? found : ''
}
const objectAt = (value: Json | undefined, key: string): JsonObject => {
  const found = isObject(value) ? value[key] : undefined
  return isObject(found) ? found : {}
}
const arrayAt = (value: JsonObject, key: string): readonly Json[] => {
  const found = value[key]
  return Array.isArray(found) ? (found as readonly Json[]) : []
}

type Place = { readonly value: JsonObject; readonly file: string }

export interface RequestSchemas {
  /** The operations of an API (`client-server`), in the order of file and path. */
  requests(api: string): readonly RequestShape[]
  /** Of a JSON Schema whose references begin at the folder of the specification. */
  shapeOf(schema: JsonObject): Shape
}

export function readRequestSchemas(): RequestSchemas {
  const { documents } = JSON.parse(readFileSync(FILE, 'utf8')) as { documents: Record<string, JsonObject> }

  const followed = ({ value, file }: Place): Place => {
    const ref = value['$ref']
    if (typeof ref !== 'string') return { value, file }
    const [name = '', pointer = ''] = ref.split('#')
    const target = name === '' ? file : posix.join(posix.dirname(file), name)
    let found: Json | undefined = documents[target]
    for (const part of pointer.split('/').slice(1)) found = isObject(found) ? found[part] : undefined
    return followed({ value: isObject(found) ? found : {}, file: target })
  }

  const shapeOf = (place: Place, depth = 0): Shape => {
    if (depth === MAX_DEPTH) return ANYTHING
    const { value, file } = followed(place)
    const inner = (one: Json): Shape => shapeOf({ value: isObject(one) ? one : {}, file }, depth + 1)
    const parts = arrayAt(value, 'allOf').map(inner)
    const own = Object.entries(objectAt(value, 'properties')).map(([key, one]) => [key, inner(one)] as const)
    const [pattern] = Object.values(objectAt(value, 'patternProperties'))
    const additional = [value['additionalProperties'], pattern].find(isObject)
    const choices = [...arrayAt(value, 'oneOf'), ...arrayAt(value, 'anyOf')].map(inner)
    const types = [value['type'] ?? []].flat().filter((type) => typeof type === 'string')
    const base = Object.assign({}, ...parts) as Partial<Shape>
    return {
      ...base,
      types: types.length > 0 ? types : (base.types ?? []),
      properties: Object.assign({}, ...parts.map(({ properties }) => properties), Object.fromEntries(own)),
      required: [
        ...parts.flatMap(({ required }) => required),
        ...arrayAt(value, 'required').filter((name) => typeof name === 'string'),
      ],
      ...(additional === undefined ? {} : { additional: inner(additional) }),
      ...(isObject(value['items']) ? { items: inner(value['items']) } : {}),
      ...('enum' in value ? { values: arrayAt(value, 'enum') } : {}),
      ...(choices.length > 0 ? { choices } : {}),
    }
  }

  const bodyOf = (operation: JsonObject, file: string): Pick<RequestShape, 'body'> => {
    const body = followed({ value: objectAt(operation, 'requestBody'), file })
    const content = objectAt(body.value, 'content')
    if (Object.keys(content).length === 0) return {}
    if (!('application/json' in content)) return { body: 'bytes' }
    const value = objectAt(objectAt(content, 'application/json'), 'schema')
    return { body: shapeOf({ value, file: body.file }) }
  }

  const requestOf = (method: string, template: string, place: Place): RequestShape => {
    const parameters = arrayAt(place.value, 'parameters')
      .filter(isObject)
      .map((value) => followed({ value, file: place.file }))
    const those = (where: string): Parameter[] =>
      parameters
        .filter(({ value }) => value['in'] === where)
        .map(({ value, file }) => ({
          name: stringAt(value, 'name'),
          required: value['required'] === true,
          shape: shapeOf({ value: objectAt(value, 'schema'), file }),
        }))
    const body = bodyOf(place.value, place.file)
    return { method: method.toUpperCase(), template, path: those('path'), query: those('query'), ...body }
  }

  return {
    shapeOf: (value) => shapeOf({ value, file: '' }),
    requests: (api) =>
      Object.entries(documents)
        .filter(([file]) => file.split('/')[2] === api)
        .flatMap(([file, document]) => {
          const [server] = arrayAt(document, 'servers')
          const base = stringAt(objectAt(objectAt(server, 'variables'), 'basePath'), 'default')
          return Object.entries(objectAt(document, 'paths')).flatMap(([path, methods]) =>
            // The path of third-party invites ends in a blank there.
            Object.entries(isObject(methods) ? methods : {}).map(([method, value]) =>
              requestOf(method, `${base}${path.trim()}`, {
                value: isObject(value) ? value : {},
                file,
              }),
            ),
          )
        }),
  }
}
