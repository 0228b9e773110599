import { useEffect, useRef, useState } from 'preact/hooks'

export type Action<Args extends readonly unknown[]> = {
  readonly busy: boolean
  /** What to tell the user about the last failure. */
  readonly error: string | undefined
  readonly run: (...args: Args) => void
  readonly clear: () => void
}

/** The words of an error for the user. */
export function wordsOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : 'Something went wrong. Try again.'
}

/** Runs one thing at a time for a button or form, and keeps its progress and failure for the screen. */
export function useAction<Args extends readonly unknown[]>(
  work: (...args: Args) => Promise<void>,
): Action<Args> {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string | undefined>(undefined)
  const mounted = useRef(true)
  const running = useRef(false)
  useEffect(() => {
    mounted.current = true
    return () => {
      mounted.current = false
    }
  }, [])

  const settle = (words: string | undefined): void => {
    running.current = false
    if (!mounted.current) return
    setBusy(false)
    setError(words)
  }

  const run = (...args: Args): void => {
    if (running.current) return
    running.current = true
    setBusy(true)
    setError(undefined)
    work(...args).then(
      () => settle(undefined),
      (fault: unknown) => settle(wordsOf(fault)),
    )
  }
  return { busy, error, run, clear: () => setError(undefined) }
}
