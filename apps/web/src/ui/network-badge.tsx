import type { JSX } from 'preact'
import type { SessionModel } from './model.ts'
import { networkMeaning, networkWords } from './network-words.ts'
import { routeHref } from './route.ts'
import { followLink } from './router.ts'

export function NetworkBadge({ session }: { session: SessionModel }): JSX.Element {
  const network = session.network.value
  const target = { page: 'connection' } as const
  return (
    <a
      class="network"
      data-status={network.status}
      href={routeHref(target)}
      title={networkMeaning(network.status)}
      onClick={(event) => followLink(event, target)}
    >
      <span class="dot" aria-hidden="true" />
      <span role="status" aria-label="Connection">
        {networkWords(network)}
      </span>
    </a>
  )
}
