/** What the engine knows of application services. spec: application-service-api.md */
import type { JsonObject, RoomAlias, RoomId, UserId } from '@plexus/core'

/** Identifiers that a service is interested in. */
export type Namespace = {
  /** Nobody else makes or deletes what matches. */
  readonly exclusive: boolean
  /** In a time that is linear in the identifier, whatever it is: identifiers come from strangers. */
  readonly matches: (id: string) => boolean
}

/** spec: data/api/application-service/definitions/registration.yaml */
export type AppServiceRegistration = {
  readonly id: string
  /** Without a trailing slash; `null` for a service that wants no traffic. */
  readonly url: string | null
  /** Secrets, both. */
  readonly asToken: string
  readonly hsToken: string
  readonly senderLocalpart: string
  readonly receiveEphemeral: boolean
  /** Whether the users that it masquerades as are; its sender never is. */
  readonly rateLimited: boolean
  readonly protocols: readonly string[]
  readonly namespaces: {
    readonly users: readonly Namespace[]
    readonly aliases: readonly Namespace[]
    readonly rooms: readonly Namespace[]
  }
}

export interface AppService {
  readonly id: string
  /** The user that it acts as unless it names another. */
  readonly sender: UserId
  readonly registration: AppServiceRegistration
  /** True for its sender, and for users of this server in its namespace. */
  coversUser(userId: UserId): boolean
  coversAlias(alias: RoomAlias): boolean
  coversRoom(roomId: RoomId): boolean
}

/** The services of this node, in the order of their registrations. */
export interface AppServices {
  readonly all: readonly AppService[]
  /** Whose `as_token` it is. */
  byToken(token: string): AppService | undefined
  /** True when another service than `by` has the user for itself. */
  isUserReserved(userId: UserId, by: AppService | undefined): boolean
  isAliasReserved(alias: RoomAlias, by: AppService | undefined): boolean
}

export type PingResult =
  | { readonly kind: 'answered'; readonly durationMs: number }
  | { readonly kind: 'refused'; readonly status: number; readonly body: string }
  | { readonly kind: 'noUrl' }

export interface Pinging {
  /** spec: "Pinging". @throws CarrierError when no answer came. */
  ping(service: AppService, transactionId: string | undefined): Promise<PingResult>
}

/** A service that had to be asked gave no answer, however often. */
export class AppServiceError extends Error {
  override readonly name = 'AppServiceError'
}

/**
 * Asks the services whose namespaces cover what is not there; it may be there afterwards. The service `by`, which looks
 * for it, is not asked. @throws AppServiceError
 */
export interface AppServiceQueries {
  askForUser(userId: UserId, by: AppService | undefined): Promise<void>
  /** Of an alias that the caller knows not to be there. */
  askForAlias(alias: RoomAlias, by: AppService | undefined): Promise<void>
}

/** Other networks. What a service does not tell, or not as the specification has it, is left out. */
export interface ThirdParty {
  /** By name. */
  protocols(): Promise<Readonly<Record<string, JsonObject>>>
  /** `undefined` when no service tells of it. */
  protocol(name: string): Promise<JsonObject | undefined>
  users(protocol: string, fields: Readonly<Record<string, string>>): Promise<readonly JsonObject[]>
  locations(protocol: string, fields: Readonly<Record<string, string>>): Promise<readonly JsonObject[]>
  usersOf(userId: UserId): Promise<readonly JsonObject[]>
  locationsOf(alias: RoomAlias): Promise<readonly JsonObject[]>
}

/** What the Client-Server API asks of the services. */
export type AppServiceCalls = Pinging & AppServiceQueries & { readonly thirdParty: ThirdParty }

/** The `instance_id` of a network of a service, whose id holds no `|`. */
export function networkInstance({ id }: AppService, networkId: string): string {
  return `${id}|${networkId}`
}
