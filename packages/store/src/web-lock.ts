/** The owner lock of a browser origin, on Web Locks. Secure contexts only. */
import type { OwnerLock } from './owner-lock.ts'

export type WebLockOptions = {
  /** Takes the lock from its holder. The holder's code keeps running: what stops it is the fencing epoch. */
  readonly steal?: boolean
  /** Waits for the holder to go, until the signal fires; without it, a lock that is held is answered at once. */
  readonly signal?: AbortSignal
  /** Called once when another page stole the lock. */
  readonly onLost?: () => void
}

/**
 * `undefined` when another page holds the lock. The browser frees it when the page or worker goes.
 * @throws the signal's reason, or a DOMException where there are no Web Locks.
 */
export function acquireWebLock(name: string, options: WebLockOptions = {}): Promise<OwnerLock | undefined> {
  const { steal = false, signal, onLost } = options
  // The specification allows no other combination of the three.
  const mode = steal ? { steal } : signal === undefined ? { ifAvailable: true } : { signal }
  const { promise, resolve, reject } = Promise.withResolvers<OwnerLock | undefined>()
  let held = false
  let released = false
  const done = Promise.withResolvers<void>()
  const gone = navigator.locks.request(name, mode, (lock) => {
    if (lock === null) {
      resolve(undefined)
      return undefined
    }
    held = true
    resolve({
      async release() {
        released = true
        done.resolve()
        await gone.catch(() => undefined)
      },
    })
    return done.promise
  })
  gone.catch((cause: unknown) => {
    if (!held) reject(cause)
    else if (!released) onLost?.()
  })
  return promise
}
