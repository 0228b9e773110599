import type { ComponentChildren, JSX } from 'preact'
import { BackIcon } from './icons.tsx'
import { goBack } from './router.ts'

/** The top of a screen; the way back to the list is for phones only. */
export function ScreenHead({
  title,
  children,
}: {
  title: string
  children?: ComponentChildren
}): JSX.Element {
  return (
    <header class="screen-head">
      <BackButton />
      <h1>{title}</h1>
      {children}
    </header>
  )
}

export function BackButton(): JSX.Element {
  return (
    <button type="button" class="icon-button back" aria-label="Back to the list" onClick={goBack}>
      <BackIcon />
    </button>
  )
}
