import type { JSX } from 'preact'
import type { AppModel } from './model.ts'
import { Button } from './parts.tsx'

/** A new version is installed only when the user says so. */
export function UpdateBar({ app }: { app: AppModel }): JSX.Element | undefined {
  if (!app.updateReady.value) return undefined
  return (
    <div class="bar">
      <span>A new version of Plexus is ready. It is used after you agree.</span>
      <Button onClick={() => app.applyUpdate()}>Update and reload</Button>
    </div>
  )
}
