import type { JSX } from 'preact'
import type { NetworkStatus, SessionModel } from './model.ts'
import { networkWords } from './network-words.ts'
import { routeHref } from './route.ts'
import { followLink } from './router.ts'

const MEANING: Readonly<Record<NetworkStatus, string>> = {
  online: 'Connected directly.',
  relayed: 'Connected, but through a relay.',
  'no-relay': 'Connected directly to people; no relay is reachable, so new people cannot find you.',
  connecting: 'Looking for a relay. Messages wait on this device.',
  offline: 'Nobody is reachable. Messages wait on this device.',
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
