import type { JSX } from 'preact'
import type { NetworkStatus, NetworkView, SessionModel } from './model.ts'
import { followLink, routeHref } from './router.ts'

const WORDS: Readonly<Record<NetworkStatus, string>> = {
  online: 'Online',
  relayed: 'Relayed',
  'no-relay': 'No relay',
  offline: 'Offline',
}

const MEANING: Readonly<Record<NetworkStatus, string>> = {
  online: 'Connected directly.',
  relayed: 'Connected, but through a relay.',
  'no-relay': 'Connected directly to people; no relay is reachable, so new people cannot find you.',
  offline: 'Nobody is reachable. Messages wait on this device.',
}

/** `Online`, `Relayed`, `No relay`, `Offline, 2 waiting`. */
export function networkWords({ status, waiting }: NetworkView): string {
  return waiting === 0 ? WORDS[status] : `${WORDS[status]}, ${waiting} waiting`
}

export function NetworkBadge({ session }: { session: SessionModel }): JSX.Element {
  const network = session.network.value
  const target = { page: 'connection' } as const
  return (
    <a
      class="network"
      data-status={network.status}
      href={routeHref(target)}
      title={MEANING[network.status]}
      onClick={(event) => followLink(event, target)}
    >
      <span class="dot" aria-hidden="true" />
      <span role="status" aria-label="Connection">
        {networkWords(network)}
      </span>
    </a>
  )
}
