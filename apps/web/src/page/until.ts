import type { ReadonlySignal } from '@preact/signals'

/** True once `check` holds of the signal's value; false when it did not within `timeoutMs`. */
export function until<Value>(
  source: ReadonlySignal<Value>,
  check: (value: Value) => boolean,
  timeoutMs: number,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(resolve, timeoutMs, false)
  const stop = source.subscribe((value) => {
    if (check(value)) resolve(true)
  })
  return promise.finally(() => {
    clearTimeout(timer)
    stop()
  })
}
