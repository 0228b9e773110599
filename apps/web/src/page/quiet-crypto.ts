/**
 * Spares matrix-js-sdk's crypto work that cannot change anything, while a message waits for it: what it looks up are
 * transactions on its store, one after the other.
 */
import type { Clock } from '@plexus/engine/ports'
import type { CryptoApi } from 'matrix-js-sdk/lib/crypto-api/index.js'

/** People without whose devices no session is missing are not looked through again within this time. */
const SURE_MS = 10_000
/** When requests of the crypto are looked for that nothing can have called for. */
const LATER_MS = 250

/** What of an answer of `/sync` is about encryption. */
export type CryptoChanges = {
  readonly toDeviceEvents: readonly unknown[]
  readonly deviceLists?: {
    readonly changed?: readonly string[] | undefined
    readonly left?: readonly string[] | undefined
  }
  readonly oneTimeKeysCounts?: Readonly<Record<string, number>>
  readonly unusedFallbackKeys?: readonly string[]
}

/** A person in the crypto's memory, which gives it up when it is told or freed. */
type Person = { toString(): string; free(): void }

/** The parts of the crypto that this is about, as matrix-js-sdk 43 names them. */
export interface SdkCrypto {
  /** Reads an answer of `/sync`, while its timeline waits. */
  processSyncChanges(changes: CryptoChanges): Promise<unknown[]>
  readonly olmMachine: {
    /** Before each message: the request for keys of devices that no session leads to, if any. */
    getMissingSessions(people: readonly Person[]): Promise<unknown>
    /** Tells the answer to a request, which may bring devices and sessions. */
    markRequestAsSent(...answer: readonly unknown[]): Promise<unknown>
  }
  readonly outgoingRequestsManager: {
    /** After each answer of `/sync` and before each message: makes the requests that the crypto has for the server. */
    doProcessOutgoingRequests(): Promise<void>
  }
}

export function isSdkCrypto(crypto: CryptoApi | undefined): crypto is CryptoApi & SdkCrypto {
  return (
    hasMethod(crypto, 'processSyncChanges') &&
    'olmMachine' in crypto &&
    hasMethod(crypto.olmMachine, 'getMissingSessions') &&
    hasMethod(crypto.olmMachine, 'markRequestAsSent') &&
    'outgoingRequestsManager' in crypto &&
    hasMethod(crypto.outgoingRequestsManager, 'doProcessOutgoingRequests')
  )
}

function hasMethod(value: unknown, name: string): value is object {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, name) === 'function'
}

/** Until the crypto hears something, what it found stands, and what it has to ask is not looked for at once. */
export function quieten(crypto: SdkCrypto, clock: Clock): void {
  const { olmMachine, outgoingRequestsManager } = crypto
  /** How often it heard something. */
  let news = 0
  const hear = async <T>(tell: () => Promise<T>): Promise<T> => {
    news += 1
    try {
      return await tell()
    } finally {
      news += 1
    }
  }

  const processChanges = skippingEmpty(crypto.processSyncChanges.bind(crypto), hear)
  crypto.processSyncChanges = processChanges

  const markAsSent = olmMachine.markRequestAsSent.bind(olmMachine)
  olmMachine.markRequestAsSent = (...answer) => hear(() => markAsSent(...answer))

  const findMissing = olmMachine.getMissingSessions.bind(olmMachine)
  let complete: { readonly people: string; readonly news: number; readonly until: number } | undefined
  olmMachine.getMissingSessions = async (users) => {
    const people = users.map(String).toSorted().join(' ')
    if (complete?.people === people && complete.news === news && clock.now() < complete.until) {
      for (const user of users) user.free()
      return undefined
    }
    const looking = { people, news, until: clock.now() + SURE_MS }
    const request = await findMissing(users)
    complete = request === undefined || request === null ? looking : undefined
    return request
  }

  const makeRequests = outgoingRequestsManager.doProcessOutgoingRequests.bind(outgoingRequestsManager)
  let asked = -1
  let later: Promise<void> | undefined
  const ask = (): Promise<void> => {
    asked = news
    return makeRequests()
  }
  outgoingRequestsManager.doProcessOutgoingRequests = () => {
    if (asked !== news) return ask()
    later ??= new Promise<void>((resolve) => clock.after(LATER_MS, resolve)).then(() => {
      later = undefined
      return ask()
    })
    return later
  }
}

/** Passes on only what tells the crypto anything since the last call that went through. */
function skippingEmpty(
  process: SdkCrypto['processSyncChanges'],
  hear: <T>(tell: () => Promise<T>) => Promise<T>,
): SdkCrypto['processSyncChanges'] {
  let last: string | undefined
  return async (changes) => {
    const keys = keysOf(changes)
    if (keys === last && isEmpty(changes)) return []
    // Only what was taken counts: after a failure the same answer comes again.
    last = undefined
    const received = await hear(() => process(changes))
    last = keys
    return received
  }
}

function isEmpty({ toDeviceEvents, deviceLists, unusedFallbackKeys }: CryptoChanges): boolean {
  return (
    toDeviceEvents.length === 0 &&
    (deviceLists?.changed ?? []).length === 0 &&
    (deviceLists?.left ?? []).length === 0 &&
    // A spent fallback key is told until another one stands, which may be spent again before the next answer.
    unusedFallbackKeys?.length !== 0
  )
}

function keysOf({ oneTimeKeysCounts, unusedFallbackKeys }: CryptoChanges): string {
  const counts = Object.entries(oneTimeKeysCounts ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([counts, unusedFallbackKeys?.toSorted() ?? null])
}
