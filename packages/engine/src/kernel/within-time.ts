import type { Clock } from '../ports.ts'

/** What `work` comes to within `ms`; `undefined` when it takes longer, and nobody hears of what it comes to then. */
export async function withinTime<T>(
  { clock }: { readonly clock: Clock },
  ms: number,
  work: Promise<T>,
): Promise<T | undefined> {
  const { promise, resolve: end } = Promise.withResolvers<undefined>()
  const cancel = clock.after(ms, () => end(undefined))
  try {
    return await Promise.race([work, promise])
  } finally {
    cancel()
  }
}
