import type { PeerId } from '@libp2p/interface'
import type { ServerName } from '@plexus/core'
import { CarrierError, type Clock, type Log, type Random } from '@plexus/engine/ports'
import { circuitAddress } from './addresses.ts'
import { createBackoff, pause } from './backoff.ts'
import { errorText } from './error-text.ts'
import { createRelayClient, REPLACED, type RelayClient } from './relay-client.ts'
import type { ByteStream } from './wire/channel.ts'
import { certificateFault, type SignedCertificate } from './wire/hello.ts'
import { MAX_DEVICES_PER_NAME } from './wire/limits.ts'
import type { Published } from './wire/published.ts'
import type { RelayEntry } from './wire/relay.ts'
import { createTokenBucket } from './wire/token-bucket.ts'

/** Milliseconds to wait for a relay that went away: first and longest ceiling. */
export const RELAY_BACKOFF = { firstMs: 1_000, maxMs: 30_000 } as const
/** Milliseconds that a question waits for the first attempt to reach the relay. */
const FIRST_ATTEMPT_MS = 3_000
/** Milliseconds that the relay's word on a watched name is taken without asking again. */
export const FRESH_MS = 10_000
/** Questions a second to one relay, and at once: less than it bears. */
const QUESTIONS_PER_SECOND = 10
export const QUESTION_BURST = 100
/** Milliseconds to leave the relay to another process that runs as the same node. */
export const REPLACED_WAIT_MS = 60_000
/** Milliseconds between attempts to reserve at a connected relay that refused, or was slow: first and longest ceiling. */
const RESERVE_BACKOFF = { firstMs: 4_000, maxMs: 60_000 } as const
/**
 * Milliseconds between looks at a reservation: the relay is asked again in its last ten minutes. The library's own timer
 * is late after a sleep, and what it asks in vain it asks no second time.
 */
export const RESERVE_RENEW_MS = 240_000
/** Milliseconds that dialling one address of the relay may take, and opening a stream to it. */
const STEP_MS = 10_000

export type RelayState = 'connecting' | 'connected' | 'away'

export type RelayStatus = {
  /** The address in use, or the one that was used or tried last. */
  readonly address: string
  readonly state: RelayState
  readonly reserved: boolean
}

/** What the keeper needs of libp2p. */
export interface RelayNetwork {
  /** Connects to the relay and keeps the connection from being pruned. */
  dial(address: string, signal: AbortSignal): Promise<PeerId>
  /** Makes a reservation, or keeps the one that lasts. @throws when the relay refuses */
  reserve(relay: PeerId): Promise<void>
  /** Opens a relay protocol stream. */
  open(relay: PeerId, signal: AbortSignal): Promise<ByteStream>
  hangUp(relay: PeerId): void
}

export type RelayKeeperDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly random: Random
  readonly network: RelayNetwork
  certificate(): Promise<SignedCertificate>
  /** There is a connection to the relay, until the answer is called. */
  connected(relay: PeerId): () => void
  /** The relay takes questions and records. */
  registered(): void
  /** A watched name is at the relay. */
  appeared(name: ServerName): void
  changed(): void
}

/** Keeps one relay: connection, reservation, registration, watched names; again and again when it goes away. */
export interface RelayKeeper extends AsyncDisposable {
  readonly status: RelayStatus
  /** Relayed addresses of the devices of `name` that are at this relay. Empty when it is away or does not answer. */
  find(name: ServerName): Promise<readonly string[]>
  watch(names: ReadonlySet<ServerName>): void
  /** Those of the records that the relay has. @throws CarrierError when it is away or does not answer */
  records(keys: readonly string[]): Promise<readonly Published[]>
  /** The relay keeps the record. @throws CarrierError when it is away or does not */
  publish(published: Published): Promise<void>
  /** Tells the renewed certificate. */
  renew(): void
  /** Tries at once, or finds out whether the relay is still there. */
  kick(): void
}

/** @param addresses the relay's multiaddrs, peer id included, best first: each attempt tries them in turn */
export function createRelayKeeper(
  deps: RelayKeeperDeps,
  addresses: readonly [string, ...string[]],
): RelayKeeper {
  const { clock, log, network } = deps
  let [address] = addresses
  const backoff = createBackoff(clock, deps.random, RELAY_BACKOFF)
  const stop = new AbortController()
  let client: RelayClient | undefined
  let watched: ReadonlySet<ServerName> = new Set()
  /** Watched names that were at the relay when it last said so. */
  const present = new Map<ServerName, { readonly entry: RelayEntry; readonly at: number }>()
  const questions = createTokenBucket(() => clock.now(), QUESTIONS_PER_SECOND, QUESTION_BURST)
  let state: RelayState = 'connecting'
  const reserveBackoff = createBackoff(clock, deps.random, RESERVE_BACKOFF)
  let reserved = false
  let yieldMs = 0
  let cancelReserve: () => void = () => undefined
  const tried = Promise.withResolvers<void>()

  function set(next: RelayState): void {
    if (state === next) return
    state = next
    if (next !== 'connecting') tried.resolve()
    deps.changed()
  }

  /** Relayed addresses of the devices whose certificates count: the relay only says so. */
  function sound({ name, devices }: RelayEntry): string[] {
    return devices
      .filter((signed) => signed.certificate.name === name)
      .filter((signed) => certificateFault(signed, signed.certificate.peerId, clock.now()) === undefined)
      .slice(0, MAX_DEVICES_PER_NAME)
      .map(({ certificate }) => circuitAddress(address, certificate.peerId))
  }

  function onAppeared(entry: RelayEntry): void {
    present.set(entry.name, { entry, at: clock.now() })
    deps.appeared(entry.name)
  }

  const step = (): AbortSignal => AbortSignal.any([stop.signal, AbortSignal.timeout(STEP_MS)])

  /** @throws what the last address answered */
  async function dial(): Promise<PeerId> {
    let failure: unknown
    for (const candidate of addresses) {
      stop.signal.throwIfAborted()
      address = candidate
      try {
        return await network.dial(candidate, step())
      } catch (error) {
        failure = error
        log.log('debug', 'relay address not reached', { relay: candidate, error: errorText(error) })
      }
    }
    throw failure
  }

  /** Again and again during a connection. Never rejects: a relay without a free place still tells who is here. */
  async function reserve(relay: PeerId, life: AbortSignal): Promise<void> {
    const before = reserved
    try {
      await network.reserve(relay)
      if (life.aborted) return
      reserved = true
      reserveBackoff.reset()
    } catch (error) {
      if (life.aborted) return
      log.log('warn', 'no reservation at the relay', { relay: address, error: errorText(error) })
      reserved = false
    }
    if (reserved !== before) deps.changed()
    const again = (): void => (life.aborted ? undefined : void reserve(relay, life))
    if (reserved) cancelReserve = clock.after(RESERVE_RENEW_MS, again)
    else void reserveBackoff.wait(life).then(again)
  }

  /** One life of the connection; resolves when it ended. */
  async function serve(): Promise<void> {
    const relay = await dial()
    const life = new AbortController()
    let opened: RelayClient | undefined
    let disconnected: () => void = () => undefined
    const onStop = (): void => opened?.close()
    try {
      disconnected = deps.connected(relay)
      // Whoever hears from the relay that this node is here dials it at once; a relay may leave it without an answer.
      const ended = AbortSignal.any([stop.signal, life.signal])
      reserveBackoff.reset()
      await Promise.race([reserve(relay, life.signal), pause(clock, STEP_MS, ended)])
      const stream = await network.open(relay, step())
      stop.signal.throwIfAborted()
      const lost = Promise.withResolvers<string>()
      opened = createRelayClient(
        { clock, log, appeared: onAppeared, closed: (reason) => lost.resolve(reason) },
        stream,
      )
      stop.signal.addEventListener('abort', onStop, { once: true })
      await opened.register(await deps.certificate())
      client = opened
      backoff.reset()
      set('connected')
      deps.registered()
      opened.watch(watched)
      log.log('info', 'relay connected', { relay: address, reserved })
      const reason = await lost.promise
      log.log('info', 'relay lost', { relay: address, reason })
      if (reason === REPLACED) yieldMs = REPLACED_WAIT_MS
    } finally {
      life.abort()
      disconnected()
      client = undefined
      reserved = false
      cancelReserve()
      present.clear()
      stop.signal.removeEventListener('abort', onStop)
      opened?.close()
      network.hangUp(relay)
    }
  }

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        set('connecting')
        await serve()
      } catch (error) {
        log.log('info', 'relay not reached', { relay: address, error: errorText(error) })
      }
      set('away')
      await pause(clock, yieldMs, stop.signal)
      yieldMs = 0
      await backoff.wait(stop.signal)
    }
  }

  function connectedClient(): RelayClient {
    if (client === undefined) throw new CarrierError('unreachable', 'the relay is away')
    return client
  }

  /** Who asks right after the start is told once it is known whether the relay is there. */
  async function firstAttempt(): Promise<void> {
    if (state !== 'connecting') return
    const late = new Promise<void>((resolve) => {
      clock.after(FIRST_ATTEMPT_MS, resolve)
    })
    await Promise.race([tried.promise, late])
  }

  const running = run()

  return {
    get status() {
      return { address, state, reserved }
    },
    async find(name) {
      await firstAttempt()
      const said = present.get(name)
      if (client === undefined || (said === undefined && client.tells(name))) return []
      if (said !== undefined && Math.abs(clock.now() - said.at) < FRESH_MS) return sound(said.entry)
      if (!questions.take()) return said === undefined ? [] : sound(said.entry)
      try {
        const entries = await client.lookup([name])
        // It may have appeared after the relay answered: what it tells by itself is newer.
        const news = present.get(name)
        if (news !== undefined && news !== said) return sound(news.entry)
        const entry = entries.find((other) => other.name === name)
        if (entry === undefined) present.delete(name)
        else if (watched.has(name)) present.set(name, { entry, at: clock.now() })
        return entry === undefined ? [] : sound(entry)
      } catch (error) {
        log.log('debug', 'relay look-up failed', { relay: address, error: errorText(error) })
        return []
      }
    },
    watch(names) {
      watched = new Set(names)
      for (const name of present.keys()) if (!watched.has(name)) present.delete(name)
      client?.watch(watched)
    },
    async records(keys) {
      await firstAttempt()
      return connectedClient().find(keys)
    },
    publish: async (published) => connectedClient().publish(published),
    renew() {
      const told = client
      if (told === undefined) return
      deps
        .certificate()
        .then((certificate) => told.register(certificate))
        .catch((error: unknown) => {
          log.log('warn', 'certificate not renewed at the relay', { relay: address, error: errorText(error) })
          told.close()
        })
    },
    kick() {
      if (state === 'away') backoff.kick()
      client?.probe()
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}
