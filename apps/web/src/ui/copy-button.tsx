import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { useAction } from './use-action.ts'
import { CheckIcon } from './icons.tsx'
import { Button, ErrorLine } from './parts.tsx'

const SHOWN_MS = 2_000

/** Copies `text` and says so for a moment. */
export function CopyButton({ text, label }: { text: string; label: string }): JSX.Element {
  const [copied, setCopied] = useState(0)
  const copy = useAction(async () => {
    try {
      await navigator.clipboard.writeText(text)
    } catch (cause) {
      throw new Error('The browser does not allow copying. Select the text and copy it by hand.', { cause })
    }
    setCopied((count) => count + 1)
  })
  useEffect(() => {
    if (copied === 0) return undefined
    const timer = setTimeout(() => setCopied(0), SHOWN_MS)
    return () => clearTimeout(timer)
  }, [copied])
  return (
    <>
      <Button onClick={() => copy.run()} busy={copy.busy}>
        {copied > 0 ? (
          <>
            <CheckIcon /> Copied
          </>
        ) : (
          label
        )}
      </Button>
      <span class="hidden-text" role="status">
        {copied > 0 ? 'Copied' : ''}
      </span>
      {copy.error !== undefined && <ErrorLine text={copy.error} />}
    </>
  )
}
