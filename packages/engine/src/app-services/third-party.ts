/** Other networks, as the services tell of them. spec: application-service-api.md "Third-party networks" */
import type { JsonObject, JsonValue } from '@plexus/core'
import { isJsonObject, ownValue } from '@plexus/core'
import type { Log } from '../ports.ts'
import { CarrierError } from '../ports.ts'
import type { CallService } from './calls.ts'
import { networkInstance } from './types.ts'
import type { AppService, ThirdParty } from './types.ts'

export const THIRD_PARTY_TIMEOUT_MS = 10_000
/** UTF-8 bytes of one answer. */
const MAX_ANSWER_BYTES = 1_048_576
/** Users, locations or networks of one answer that are told. */
export const MAX_RESULTS = 1_000

export type ThirdPartyDeps = {
  readonly call: CallService
  readonly log: Log
  /** Those that want traffic. */
  readonly services: readonly AppService[]
}

export function createThirdParty({ call, log, services }: ThirdPartyDeps): ThirdParty {
  /** What the service says; `undefined` when that is nothing of use. */
  const ask = async (
    service: AppService,
    path: string,
    query: Readonly<Record<string, string>>,
  ): Promise<JsonValue | undefined> => {
    const pairs = Object.entries(query).map((pair) => pair.map((text) => encodeURIComponent(text)).join('='))
    try {
      const { status, body } = await call(service, {
        method: 'GET',
        path: `thirdparty/${path}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`,
        timeoutMs: THIRD_PARTY_TIMEOUT_MS,
        maxBytes: MAX_ANSWER_BYTES,
      })
      return status === 200 ? (JSON.parse(body) as JsonValue) : undefined
    } catch (error) {
      if (!(error instanceof CarrierError || error instanceof SyntaxError)) throw error
      log.log('warn', 'an application service does not tell of its network', { service: service.id })
      return undefined
    }
  }

  const offering = (protocol: string): readonly AppService[] =>
    services.filter(({ registration }) => registration.protocols.includes(protocol))

  const listFrom = async (
    asked: readonly AppService[],
    path: string,
    query: Readonly<Record<string, string>>,
    key: 'userid' | 'alias',
  ): Promise<readonly JsonObject[]> => {
    const answers = await Promise.all(asked.map((service) => ask(service, path, query)))
    return answers.flatMap((answer) => resultsOf(answer, key)).slice(0, MAX_RESULTS)
  }

  const protocol = async (name: string): Promise<JsonObject | undefined> => {
    const path = `protocol/${encodeURIComponent(name)}`
    const told = await Promise.all(
      offering(name).map(async (service) => describe(service, await ask(service, path, {}))),
    )
    const found = told.filter((each) => each !== undefined)
    const [first] = found
    return first && { ...first.about, instances: found.flatMap(({ instances }) => instances) }
  }

  return {
    protocol,
    async protocols() {
      const names = [...new Set(services.flatMap(({ registration }) => registration.protocols))]
      const found = await Promise.all(names.map(async (name) => [name, await protocol(name)] as const))
      return Object.fromEntries(
        found.flatMap(([name, about]) => (about === undefined ? [] : [[name, about]])),
      )
    },
    users: (name, fields) => listFrom(offering(name), `user/${encodeURIComponent(name)}`, fields, 'userid'),
    locations: (name, fields) =>
      listFrom(offering(name), `location/${encodeURIComponent(name)}`, fields, 'alias'),
    usersOf: (userid) => listFrom(services, 'user', { userid }, 'userid'),
    locationsOf: (alias) => listFrom(services, 'location', { alias }, 'alias'),
  }
}

/** spec: data/api/application-service/definitions/user.yaml, location.yaml */
function resultsOf(answer: JsonValue | undefined, key: 'userid' | 'alias'): readonly JsonObject[] {
  if (!Array.isArray(answer)) return []
  return answer.slice(0, MAX_RESULTS).flatMap((item: JsonValue) => {
    if (!isJsonObject(item)) return []
    const [id, protocol, fields] = [ownValue(item, key), ownValue(item, 'protocol'), ownValue(item, 'fields')]
    const isWhole = typeof id === 'string' && typeof protocol === 'string' && isJsonObject(fields)
    return isWhole ? [{ [key]: id, protocol, fields }] : []
  })
}

/** spec: data/api/client-server/definitions/protocol.yaml */
function describe(
  service: AppService,
  answer: JsonValue | undefined,
): { readonly about: JsonObject; readonly instances: readonly JsonObject[] } | undefined {
  if (!isJsonObject(answer)) return undefined
  const { icon, user_fields: users, location_fields: locations, field_types: types, instances } = answer
  const isWhole =
    typeof icon === 'string' &&
    isListOfText(users) &&
    isListOfText(locations) &&
    isJsonObject(types) &&
    Array.isArray(instances)
  if (!isWhole) return undefined
  return {
    about: { icon, user_fields: users, location_fields: locations, field_types: types },
    instances: instances.slice(0, MAX_RESULTS).flatMap((instance: JsonValue) => {
      if (!isJsonObject(instance)) return []
      const { desc, icon: own, fields, network_id: network } = instance
      if (typeof desc !== 'string' || typeof network !== 'string' || !isJsonObject(fields)) return []
      const id = networkInstance(service, network)
      const shown = { desc, fields, network_id: network, instance_id: id }
      return [typeof own === 'string' ? { ...shown, icon: own } : shown]
    }),
  }
}

const isListOfText = (value: JsonValue | undefined): boolean =>
  Array.isArray(value) && value.every((item: JsonValue) => typeof item === 'string')
