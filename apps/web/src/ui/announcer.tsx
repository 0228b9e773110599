import { signal } from '@preact/signals'
import type { JSX } from 'preact'

const spoken = signal('')

/** Has a screen reader say `text` when it is free. */
export function announce(text: string): void {
  // The same words twice would not be a change, so would not be said.
  spoken.value = spoken.value === text ? `${text}\u00A0` : text
}

export function Announcer(): JSX.Element {
  return (
    <div class="hidden-text" role="status" aria-live="polite" aria-atomic="true">
      {spoken.value}
    </div>
  )
}
