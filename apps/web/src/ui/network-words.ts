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
