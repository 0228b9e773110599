/** Answers of a pure function that are remembered by a text, in order of use: what a memo holds never changes an answer. */
export type Memo<T> = { readonly known: Map<string, T>; readonly capacity: number }

export const createMemo = <T>(capacity: number): Memo<T> => ({ known: new Map(), capacity })

/** The remembered answer or a new one, in whose place the least recently used one is forgotten. */
export function remembered<T>({ known, capacity }: Memo<T>, key: string, compute: () => T): T {
  const isKnown = known.has(key)
  const answer = isKnown ? (known.get(key) as T) : compute()
  if (isKnown) known.delete(key)
  known.set(key, answer)
  if (known.size > capacity) {
    for (const oldest of known.keys()) {
      known.delete(oldest)
      break
    }
  }
  return answer
}
