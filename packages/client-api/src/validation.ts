/** Parsing of paths, queries and bodies with schemas; errors never repeat the client's values. */
import * as v from 'valibot'
import { MatrixError, badJson, invalidParam, missingParam } from './matrix-error.ts'

export type Place = 'path' | 'query' | 'body'

/** Longest piece of the client's own text in an error message. */
const MAX_QUOTED = 100

/**
 * @throws MatrixError M_MISSING_PARAM for what is missing, M_BAD_JSON for a wrong type in the body, M_INVALID_PARAM
 * for the rest.
 */
export function parseWith<Schema extends v.GenericSchema>(
  schema: Schema,
  place: Place,
  input: unknown,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, input, { abortEarly: true })
  if (result.success) return result.output
  throw toError(place, result.issues[0])
}

function toError(place: Place, issue: v.BaseIssue<unknown>): MatrixError {
  const name = (v.getDotPath(issue) ?? place).slice(0, MAX_QUOTED)
  if (issue.received === 'undefined') return missingParam(`${name} is missing`)
  if (issue.kind === 'schema') {
    const own = issue.type === 'custom' ? issue.message : `must be ${issue.expected ?? 'of another type'}`
    const text = `${name} ${own.slice(0, MAX_QUOTED)}`
    return place === 'body' ? badJson(text) : invalidParam(text)
  }
  return invalidParam(`${name}: ${issue.message.slice(0, MAX_QUOTED)}`)
}
