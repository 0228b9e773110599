import type { Clock } from '@plexus/engine/ports'
import type { ByteStream } from '@plexus/p2p/wire'

/** Time that passes when the test says so. */
export function createClock(start: number): Clock & { advance(ms: number): void } {
  let now = start
  let timers: { at: number; run: () => void }[] = []
  return {
    now: () => now,
    after(ms, run) {
      const timer = { at: now + ms, run }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    advance(ms) {
      now += ms
      const due = timers.filter(({ at }) => at <= now)
      timers = timers.filter(({ at }) => at > now)
      for (const { run } of due) run()
    },
  }
}

/** One end of a stream in memory. `writeBufferLength` is what the test says. */
export type End = Omit<ByteStream, 'writeBufferLength'> & {
  writeBufferLength: number
  other?: End
  emit(type: string, event: unknown): void
}

export function createEnd(): End {
  const listeners: { type: string; listener: (event: never) => void }[] = []
  let open = true
  const end: End = {
    writeBufferLength: 0,
    send(data) {
      queueMicrotask(() => end.other?.emit('message', { data }))
      return true
    },
    close() {
      finish()
      return Promise.resolve()
    },
    abort: finish,
    addEventListener: (type: string, listener: (event: never) => void) =>
      void listeners.push({ type, listener }),
    emit(type, event) {
      for (const entry of listeners) if (entry.type === type) entry.listener(event as never)
    },
  }
  function finish(): void {
    if (!open) return
    open = false
    end.emit('close', {})
    queueMicrotask(() => end.other?.emit('close', {}))
  }
  return end
}
