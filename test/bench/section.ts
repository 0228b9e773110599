import type { Figure } from './figures.ts'

export type SectionContext = {
  /** Few repetitions: to see that it works, not how fast. */
  readonly quick: boolean
  /** Says how far it is. */
  readonly note: (words: string) => void
}

/** A part of the benchmark that can run by itself. It ends what it starts. */
export type Section = {
  readonly name: string
  /** Needs neither a browser nor the app. */
  readonly inNode?: true
  run(context: SectionContext): Promise<readonly Figure[]>
}

/** @throws when `work` takes longer than `ms`; it goes on, and its owner ends it. */
export async function withLimit<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms / 1_000} s`)), ms)
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
