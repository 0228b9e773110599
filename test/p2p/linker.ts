/** What a relay that keeps everything it sees would try, to learn who left a mail. */
import { multiaddr } from '@multiformats/multiaddr'
import type { ServerName } from '@plexus/core'
import { MAILBOX_PROTOCOL } from '@plexus/p2p/wire'
import type { RelayView, SeenBytes } from '../kit/curious-relay.ts'

/** Somebody whose own connection is at the relay, as certificate and account record tell. */
export type Known = { readonly name: ServerName; readonly peerId: string }

/** A mail as it came to the relay. */
export type SeenDeposit = {
  readonly at: number
  /** Whose connection it came over. */
  readonly peerId: string
  readonly recipient: Known
  readonly bytes: Uint8Array
}

/** Milliseconds before a mail in which what somebody does is held to be about it. */
const NEAR_MS = 10_000
/** How unlikely luck must be for a guess to count as knowledge. */
const LUCK = 0.001

const deposited = (name: ServerName): string => `"recipient":"${name}"`

/** All mail that was left for these. */
export function depositsIn({ traffic }: RelayView, recipients: readonly Known[]): readonly SeenDeposit[] {
  return traffic.flatMap(({ at, peerId, protocol, way, bytes }) => {
    if (protocol !== MAILBOX_PROTOCOL || way !== 'in') return []
    const recipient = recipients.find(({ name }) => Buffer.from(bytes).includes(deposited(name)))
    return recipient === undefined ? [] : [{ at, peerId, recipient, bytes }]
  })
}

type Linker = (deposit: SeenDeposit, view: RelayView, suspects: readonly Known[]) => Known | undefined

/** The suspect for whom `score` is highest; none where it is not finite for any. */
function best(suspects: readonly Known[], score: (suspect: Known) => number): Known | undefined {
  const scored = suspects.map((suspect) => ({ suspect, score: score(suspect) }))
  const [first] = scored.filter(({ score }) => Number.isFinite(score)).toSorted((a, b) => b.score - a.score)
  return first?.suspect
}

const latest = (times: readonly number[]): number => Math.max(...times)
const nearness = (times: readonly number[], at: number): number =>
  -Math.min(...times.map((time) => Math.abs(time - at)))

const trafficOf = ({ traffic }: RelayView, { peerId }: Known): readonly SeenBytes[] =>
  traffic.filter((seen) => seen.peerId === peerId && seen.way === 'in')

const KEY_BYTES = 32

/** Words for the recipient: its name, and its device as text and by the key in the messages of the circuit relay. */
export function wordsFor({ name, peerId }: Known): readonly Buffer[] {
  const key = multiaddr(`/p2p/${peerId}`).bytes.slice(-KEY_BYTES)
  return [Buffer.from(name), Buffer.from(peerId), Buffer.from(key)]
}

export const LINKERS: Readonly<Record<string, Linker>> = {
  'its own identity': ({ peerId }, _view, suspects) => suspects.find((suspect) => suspect.peerId === peerId),
  'spoke of the recipient last': (deposit, view, suspects) => {
    const words = wordsFor(deposit.recipient)
    return best(suspects, (suspect) => {
      const spoke = trafficOf(view, suspect).filter(
        ({ at, bytes }) =>
          at > deposit.at - NEAR_MS &&
          at <= deposit.at &&
          words.some((word) => Buffer.from(bytes).includes(word)),
      )
      return latest(spoke.map(({ at }) => at))
    })
  },
  'said something last': ({ at }, view, suspects) =>
    best(suspects, (suspect) =>
      latest(
        trafficOf(view, suspect)
          .map((seen) => seen.at)
          .filter((time) => time <= at),
      ),
    ),
  'said something nearest': ({ at }, view, suspects) =>
    best(suspects, (suspect) =>
      nearness(
        trafficOf(view, suspect).map((seen) => seen.at),
        at,
      ),
    ),
  'was told something last': ({ at }, view, suspects) =>
    best(suspects, ({ peerId }) =>
      latest(
        view.traffic
          .filter((seen) => seen.peerId === peerId && seen.way === 'out' && seen.at <= at)
          .map((seen) => seen.at),
      ),
    ),
  'fetched mail last': ({ at }, view, suspects) =>
    best(suspects, (suspect) =>
      latest(
        trafficOf(view, suspect)
          .filter((seen) => seen.protocol === MAILBOX_PROTOCOL && seen.at <= at)
          .map((seen) => seen.at),
      ),
    ),
  'came at the same time': ({ peerId }, { connections }, suspects) => {
    const came = connections.filter((seen) => seen.peerId === peerId).map(({ opened }) => opened)
    return best(suspects, (suspect) =>
      nearness(
        connections.filter((seen) => seen.peerId === suspect.peerId).map(({ opened }) => opened),
        came[0] ?? Number.NaN,
      ),
    )
  },
  'left at the same time': ({ peerId }, { connections }, suspects) => {
    const left = connections.find((seen) => seen.peerId === peerId)?.closed
    if (left === undefined) return undefined
    return best(suspects, (suspect) =>
      nearness(
        connections
          .filter((seen) => seen.peerId === suspect.peerId)
          .flatMap(({ closed }) =>
            closed === undefined || Math.abs(closed - left) > NEAR_MS ? [] : [closed],
          ),
        left,
      ),
    )
  },
}

export type Guesses = { readonly linker: string; readonly right: number; readonly made: number }

/** What each linker makes of the mail, where it says anything. `senderOf`: the truth. */
export function guess(
  view: RelayView,
  deposits: readonly SeenDeposit[],
  suspects: readonly Known[],
  senderOf: (deposit: SeenDeposit) => ServerName | undefined,
): readonly Guesses[] {
  return Object.entries(LINKERS).map(([linker, name]) => {
    const guessed = deposits.flatMap((deposit) => {
      const suspect = name(deposit, view, suspects)
      return suspect === undefined ? [] : [suspect.name === senderOf(deposit)]
    })
    return { linker, right: guessed.filter(Boolean).length, made: guessed.length }
  })
}

/** The linkers that do better than chance, of one in `suspects`. */
export function knowing(guesses: readonly Guesses[], suspects: number): readonly Guesses[] {
  const tested = Object.keys(LINKERS).length
  return guesses.filter(({ right, made }) => luck(right, made, 1 / suspects) < LUCK / tested)
}

/** The probability of `right` or more hits in `made` attempts. */
function luck(right: number, made: number, chance: number): number {
  let sum = 0
  let term = (1 - chance) ** made
  for (let hits = 0; hits <= made; hits += 1) {
    if (hits >= right) sum += term
    term *= ((made - hits) / (hits + 1)) * (chance / (1 - chance))
  }
  return sum
}
