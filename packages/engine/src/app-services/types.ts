/** What the engine knows of application services. spec: application-service-api.md */
import type { RoomAlias, RoomId, UserId } from '@plexus/core'

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

/** What the Client-Server API asks of the services. */
export interface AppServiceCalls {
  /** spec: "Pinging". @throws CarrierError when no answer came. */
  ping(service: AppService, transactionId: string | undefined): Promise<PingResult>
}
