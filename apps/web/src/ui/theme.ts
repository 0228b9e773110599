import { type ReadonlySignal, signal } from '@preact/signals'
import type { Theme } from './model.ts'

const KEY = 'plexus.theme'

const chosen = signal<Theme>('system')
export const theme: ReadonlySignal<Theme> = chosen

/** Applies what was chosen before; CSS follows `data-theme`, and the system's preference where there is none. */
export function startTheme(): void {
  const kept = localStorage.getItem(KEY)
  setTheme(kept === 'light' || kept === 'dark' ? kept : 'system')
}

export function setTheme(value: Theme): void {
  chosen.value = value
  if (value === 'system') {
    delete document.documentElement.dataset['theme']
    localStorage.removeItem(KEY)
  } else {
    document.documentElement.dataset['theme'] = value
    localStorage.setItem(KEY, value)
  }
}
