/** A priority queue: `pop` gives the smallest item, `undefined` when empty. */
export interface Heap<T> {
  push(item: T): void
  pop(): T | undefined
}

export function createHeap<T>(compare: (a: T, b: T) => number): Heap<T> {
  const items: T[] = []

  function isBefore(a: number, b: number): boolean {
    const [x, y] = [items[a], items[b]]
    return x !== undefined && y !== undefined && compare(x, y) < 0
  }

  function swap(a: number, b: number): void {
    const [x, y] = [items[a], items[b]]
    if (x === undefined || y === undefined) return
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
      swap(0, items.length - 1)
      const top = items.pop()
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
