/** Registers the service worker, and tells when a newer build waits for consent. */
import { signal, type ReadonlySignal } from '@preact/signals'
import { scriptUrl } from './trusted-script.ts'

const CHECK_MS = 3_600_000
/** The message that lets the waiting service worker take over. */
const UPDATE_NOW = 'update-now'

export interface AppUpdates {
  readonly ready: ReadonlySignal<boolean>
  /** Installs the newer build and loads the page again with it. */
  apply(): void
}

export function watchAppUpdates(): AppUpdates {
  const ready = signal(false)
  let waiting: ServiceWorker | undefined
  let agreed = false

  const look = (registration: ServiceWorkerRegistration): void => {
    // Without a controller this is the first installation, which replaces nothing.
    waiting = navigator.serviceWorker.controller === null ? undefined : (registration.waiting ?? undefined)
    ready.value = waiting !== undefined
  }

  const register = async (): Promise<void> => {
    const registration = await navigator.serviceWorker.register(scriptUrl('/service-worker.js'))
    look(registration)
    registration.addEventListener('updatefound', () => {
      registration.installing?.addEventListener('statechange', () => look(registration))
    })
    setInterval(() => {
      registration
        .update()
        .catch((error: unknown) => console.debug('plexus: no update was looked for', error))
    }, CHECK_MS)
  }

  navigator.serviceWorker.addEventListener('controllerchange', () => {
    if (agreed) location.reload()
  })
  register().catch((error: unknown) =>
    console.warn('plexus: the app could not be kept for offline use', error),
  )

  return {
    ready,
    apply() {
      agreed = true
      waiting?.postMessage(UPDATE_NOW, [])
    },
  }
}
