/**
 * Makes `test/vectors/api-schemas.json` from a checkout of github.com/matrix-org/matrix-spec:
 * `node test/kit/build-api-schemas.ts <checkout>`. Only what decides about validity is kept.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

const TARGET = fileURLToPath(new URL('../vectors/api-schemas.json', import.meta.url))
const APIS = ['data/api/client-server', 'data/api/server-server']

/** Keys that say nothing about validity; under `properties` and the like a key is a name, and stays. */
const DROPPED =
  /^(?:title|description|summary|examples?|tags|externalDocs|deprecated|operationId|x-(?!pattern-format).*)$/
const NAME_MAPS = new Set(['properties', 'patternProperties', 'definitions', 'schemas', 'headers'])

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

function yamlFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.yaml'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

function strip(value: Json, keysAreNames = false): Json {
  if (Array.isArray(value)) return value.map((item) => strip(item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => keysAreNames || !DROPPED.test(key))
      .map(([key, item]) => [key, strip(item, !keysAreNames && NAME_MAPS.has(key))]),
  )
}

/** Documents named by a `$ref`, relative to the file it stands in. */
function refs(value: Json): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => refs(item))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) =>
    key === '$ref' && typeof item === 'string' ? [item.split('#')[0] ?? ''] : refs(item),
  )
}

const [, , checkout] = process.argv
if (checkout === undefined) throw new Error('name the folder of a checkout of the Matrix specification')

const documents: Record<string, Json> = {}
const queue = APIS.flatMap((api) => yamlFiles(join(checkout, api))).map((file) =>
  relative(checkout, file).replaceAll('\\', '/'),
)
for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
  if (documents[path] !== undefined) continue
  const document = strip(parse(readFileSync(join(checkout, path), 'utf8')) as Json)
  documents[path] = document
  for (const ref of refs(document)) {
    if (ref !== '' && !ref.startsWith('http')) queue.push(posix.join(dirname(path), ref))
  }
}
const source =
  'https://github.com/matrix-org/matrix-spec, Apache-2.0, version 1.19; made by test/kit/build-api-schemas.ts'
writeFileSync(TARGET, `${JSON.stringify({ source, documents })}\n`)
