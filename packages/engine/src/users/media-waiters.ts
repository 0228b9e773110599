/** Downloads that wait for an upload to a reserved id. */
import type { Clock } from '../ports.ts'

/** More do not wait. */
const MAX_UPLOAD_WAITERS = 200

export interface UploadWaiters {
  /** Resolves when the upload is done, after `ms`, or when `signal` is aborted; whoever waits looks again. */
  wait(mediaId: string, ms: number, signal?: AbortSignal): Promise<void>
  done(mediaId: string): void
}

export function createUploadWaiters(clock: Clock): UploadWaiters {
  const waiting = new Map<string, Set<() => void>>()
  let count = 0
  return {
    wait(mediaId, ms, signal) {
      if (ms <= 0 || count >= MAX_UPLOAD_WAITERS || signal?.aborted === true) return Promise.resolve()
      return new Promise((resolve) => {
        const waiters = waiting.get(mediaId) ?? new Set()
        waiting.set(mediaId, waiters)
        const end = (): void => {
          if (!waiters.delete(end)) return
          count -= 1
          if (waiters.size === 0) waiting.delete(mediaId)
          cancel()
          signal?.removeEventListener('abort', end)
          resolve()
        }
        count += 1
        waiters.add(end)
        const cancel = clock.after(ms, end)
        signal?.addEventListener('abort', end, { once: true })
      })
    },
    done(mediaId) {
      for (const end of waiting.get(mediaId) ?? []) end()
    },
  }
}
