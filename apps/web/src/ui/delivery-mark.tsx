import type { JSX } from 'preact'
import { deliveryWords } from './message-text.ts'
import type { DeliveryState } from './model.ts'

/**
 * A ring that fills as the message reaches the members' nodes, a tick when it is everywhere. A dot in the ring: for others
 * it waits at a relay.
 */
export function DeliveryMark({ delivery }: { delivery: DeliveryState }): JSX.Element {
  const words = deliveryWords(delivery)
  return (
    <span class="delivery" data-kind={delivery.kind} role="img" aria-label={words} title={words}>
      <svg
        viewBox="0 0 16 16"
        width="14"
        height="14"
        fill="none"
        stroke="currentColor"
        stroke-width="1.6"
        aria-hidden="true"
      >
        <Shape delivery={delivery} />
      </svg>
    </span>
  )
}

const RADIUS = 5.5
const LENGTH = 2 * Math.PI * RADIUS

function Shape({ delivery }: { delivery: DeliveryState }): JSX.Element {
  if (delivery.kind === 'failed') return <path d="M8 4.5v4.5M8 11.3v.2" stroke-linecap="round" />
  if (delivery.kind !== 'sent') return <circle cx="8" cy="8" r={RADIUS} stroke-dasharray="2 2.3" />
  const { reached, atRelay, members } = delivery
  if (members > 0 && reached >= members) {
    return <path d="m3.5 8.5 3 3 6-6.5" stroke-linecap="round" stroke-linejoin="round" />
  }
  const part = members === 0 ? 0 : reached / members
  return (
    <>
      <circle cx="8" cy="8" r={RADIUS} opacity="0.45" />
      {atRelay > 0 && <circle cx="8" cy="8" r="2" fill="currentColor" stroke="none" />}
      {part > 0 && (
        <circle
          cx="8"
          cy="8"
          r={RADIUS}
          stroke-dasharray={`${LENGTH * part} ${LENGTH}`}
          transform="rotate(-90 8 8)"
        />
      )}
    </>
  )
}
