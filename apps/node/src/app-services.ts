/** Registrations of application services. spec: application-service-api.md "Registration" */
import { readFileSync } from 'node:fs'
import { isValidNewLocalpart } from '@plexus/core'
import { StartError } from '@plexus/daemon'
import type { AppServiceRegistration, Namespace } from '@plexus/engine'
import { RE2JS, RE2JSException } from 're2js'
import * as v from 'valibot'
import { parse } from 'yaml'

/** In UTF-16 code units. */
const MAX_REGISTRATION_LENGTH = 262_144
/** Of users, aliases or rooms. */
const MAX_NAMESPACES = 256
const MAX_REGEX_LENGTH = 1_000
const MAX_PROTOCOLS = 64
const MAX_NAME_LENGTH = 255
/** A token goes into a header. */
const TOKEN = /^[\x21-\x7e]{1,1024}$/
/** Names a network of the service, and parts its names from each other. */
const SEPARATOR = '|'

const name = v.pipe(
  v.string(),
  v.nonEmpty('is empty'),
  v.maxLength(MAX_NAME_LENGTH, `has more than ${MAX_NAME_LENGTH} characters`),
  v.check((text) => !text.includes(SEPARATOR), `must not contain ${SEPARATOR}`),
)
const token = v.pipe(v.string(), v.regex(TOKEN, 'must be printable ASCII without spaces'))

/**
 * A namespace begins at the beginning of the identifier and may end before its end, as bridges are used to it. RE2 takes
 * a time linear in the identifier, and knows no expression that it cannot match so.
 */
const namespace = v.pipe(
  v.object({
    exclusive: v.boolean('must be true or false'),
    regex: v.pipe(
      v.string(),
      v.maxLength(MAX_REGEX_LENGTH, `has more than ${MAX_REGEX_LENGTH} characters`),
      v.rawTransform(({ dataset: { value }, addIssue, NEVER }) => {
        const compiled = compile(value)
        if (typeof compiled !== 'string') return compiled
        addIssue({ message: `is no regular expression of RE2 (${compiled})` })
        return NEVER
      }),
    ),
  }),
  v.transform(({ exclusive, regex }): Namespace => ({
    exclusive,
    matches: (id) => regex.matcher(id).lookingAt(),
  })),
)

function compile(regex: string): RE2JS | string {
  try {
    return RE2JS.compile(regex)
  } catch (error) {
    if (error instanceof RE2JSException) return error.message
    throw error
  }
}

const namespaces = v.optional(
  v.nullable(
    v.pipe(v.array(namespace), v.maxLength(MAX_NAMESPACES, `has more than ${MAX_NAMESPACES} entries`)),
  ),
)

/** Further keys are of other servers, and left alone. */
const schema = v.object({
  id: name,
  url: v.nullable(
    v.pipe(
      v.string(),
      v.check((text) => isHttp(text), 'must be an http or https URL, or null'),
      v.transform((text) => text.replace(/\/+$/, '')),
    ),
  ),
  as_token: token,
  hs_token: token,
  sender_localpart: v.pipe(
    v.string(),
    v.check(isValidNewLocalpart, 'must be the first part of a user id, without @'),
  ),
  receive_ephemeral: v.optional(v.boolean('must be true or false'), false),
  rate_limited: v.optional(v.boolean('must be true or false'), true),
  protocols: v.optional(
    v.nullable(v.pipe(v.array(name), v.maxLength(MAX_PROTOCOLS, `has more than ${MAX_PROTOCOLS} entries`))),
  ),
  namespaces: v.object({ users: namespaces, aliases: namespaces, rooms: namespaces }),
})

function isHttp(text: string): boolean {
  const url = URL.parse(text)
  return (url?.protocol === 'http:' || url?.protocol === 'https:') && url.search === '' && url.hash === ''
}

/** @throws StartError that names the file and the wrong key. What is in a registration is secret, and not told. */
export function loadAppServices(files: readonly string[]): readonly AppServiceRegistration[] {
  const all = files.map((file) => ({ file, registration: load(file) }))
  for (const [index, { file, registration }] of all.entries()) {
    for (const other of all.slice(0, index)) {
      if (other.registration.id === registration.id)
        throw new StartError(`id in ${file} is that of ${other.file} too`)
      if (other.registration.asToken === registration.asToken)
        throw new StartError(`as_token in ${file} is that of ${other.file} too`)
    }
  }
  return all.map(({ registration }) => registration)
}

function load(file: string): AppServiceRegistration {
  const result = v.safeParse(schema, readYaml(file))
  if (!result.success) {
    const [issue] = result.issues
    const key = v.getDotPath(issue)
    const what = key === null ? `the registration ${file}` : `${key} in ${file}`
    const isMissing = issue.received === 'undefined'
    throw new StartError(
      `${what} ${isMissing ? 'is missing' : issue.message.startsWith('Invalid') ? 'has a wrong type' : issue.message}`,
    )
  }
  const { id, url, namespaces: spaces, protocols, ...rest } = result.output
  return {
    id,
    url,
    asToken: rest.as_token,
    hsToken: rest.hs_token,
    senderLocalpart: rest.sender_localpart,
    receiveEphemeral: rest.receive_ephemeral,
    rateLimited: rest.rate_limited,
    protocols: protocols ?? [],
    namespaces: { users: spaces.users ?? [], aliases: spaces.aliases ?? [], rooms: spaces.rooms ?? [] },
  }
}

function readYaml(file: string): unknown {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new StartError(`the registration ${file} cannot be read (${code})`, { cause: error })
  }
  if (text.length > MAX_REGISTRATION_LENGTH)
    throw new StartError(`the registration ${file} has more than ${MAX_REGISTRATION_LENGTH} characters`)
  try {
    return parse(text)
  } catch {
    // The parser quotes the line, which may hold a token.
    throw new StartError(`the registration ${file} is not YAML`)
  }
}
