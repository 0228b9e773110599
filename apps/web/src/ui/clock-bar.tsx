import type { JSX } from 'preact'
import type { AppModel } from './model.ts'
import { clockWords } from './network-words.ts'

/** Messages do not arrive while the clocks differ, and nothing else says why. */
export function ClockBar({ app }: { app: AppModel }): JSX.Element | undefined {
  const aheadMs = app.clockAheadMs.value
  if (aheadMs === 0) return undefined
  return (
    <div class="bar">
      <span>{clockWords(aheadMs)}</span>
    </div>
  )
}
