/** Sets signals only where that changes what is shown, since all that reads them is drawn again. */
import type { Signal } from '@preact/signals'

export function setIfChanged<T>(target: Signal<T>, value: T): void {
  if (!isAlike(target.peek(), value)) target.value = value
}

/** For lists whose unchanged entries are the same objects. */
export function setIfOthers<T>(target: Signal<readonly T[]>, value: readonly T[]): void {
  const before = target.peek()
  const same = before.length === value.length && value.every((entry, index) => entry === before[index])
  if (!same) target.value = value
}

/** Of plain data. */
export function isAlike(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
