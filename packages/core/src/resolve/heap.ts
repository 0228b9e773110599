/** A priority queue: `pop` gives the smallest item, `undefined` when empty. */
export interface Heap<T> {
  push(item: T): void
  pop(): T | undefined
}

export function createHeap<T>(compare: (a: T, b: T) => number): Heap<T> {
  const items: T[] = []

  /** Of two places, of which the second is above or left of the first; false where there is no first. */
  function isBefore(a: number, b: number): boolean {
    return a < items.length && compare(items[a] as T, items[b] as T) < 0
  }

  function swap(a: number, b: number): void {
    const [x, y] = [items[a] as T, items[b] as T]
    items[a] = y
    items[b] = x
  }

  return {
    push(item) {
      let at = items.push(item) - 1
      while (at > 0) {
        const parent = (at - 1) >> 1
        if (!isBefore(at, parent)) return
        swap(at, parent)
        at = parent
      }
    },
    pop() {
      const [top] = items
      const last = items.pop()
      if (items.length === 0) return last
      items[0] = last as T
      let at = 0
      for (;;) {
        const left = 2 * at + 1
        const smallest = isBefore(left + 1, left) ? left + 1 : left
        if (!isBefore(smallest, at)) return top
        swap(at, smallest)
        at = smallest
      }
    },
  }
}
