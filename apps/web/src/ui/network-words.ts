import { roughly } from './format.ts'
import type { NetworkStatus, NetworkView } from './model.ts'

const WORDS: Readonly<Record<NetworkStatus, string>> = {
  online: 'Online',
  relayed: 'Relayed',
  'no-relay': 'No relay',
  connecting: 'Connecting',
  offline: 'Offline',
}

/** `Online`, `Relayed`, `No relay`, `Connecting`, `Offline, 2 waiting`. */
export function networkWords({ status, waiting }: NetworkView): string {
  return waiting === 0 ? WORDS[status] : `${WORDS[status]}, ${waiting} waiting`
}

const MEANING: Readonly<Record<NetworkStatus, string>> = {
  online: 'Connected. Whoever of your rooms is there is reached directly.',
  relayed: 'Connected, to some people through a relay.',
  'no-relay': 'Connected directly to people. No relay is reachable, so nobody else can find you.',
  connecting: 'Looking for a relay. Messages wait on this device.',
  offline: 'Nobody is reachable. Messages wait on this device.',
}

/** What the state means, in a sentence or two. */
export function networkMeaning(status: NetworkStatus): string {
  return MEANING[status]
}

/** For a clock that is so much ahead of that of whoever serves the app, or behind where negative. */
export function clockWords(aheadMs: number): string {
  const by = `${roughly(Math.abs(aheadMs))} ${aheadMs > 0 ? 'ahead of' : 'behind'}`
  return `This device’s clock is ${by} the clock of the relay. Messages arrive once the clocks agree: check date and time.`
}

/** How many messages have not reached everybody; empty for none. */
export function waitingWords(waiting: number): string {
  if (waiting === 0) return ''
  return waiting === 1
    ? 'One of your messages has not reached everybody yet.'
    : `${waiting} of your messages have not reached everybody yet.`
}
