import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { CopyButton } from './copy-button.tsx'
import { Dialog } from './dialog.tsx'
import type { SessionModel } from './model.ts'
import { Button, ErrorLine, Spinner } from './parts.tsx'
import { useAction } from './use-action.ts'

export function PhraseDialog({
  session,
  onClose,
}: {
  session: SessionModel
  onClose: () => void
}): JSX.Element {
  const [phrase, setPhrase] = useState<string | undefined>(undefined)
  const [loaded, setLoaded] = useState(false)
  const load = useAction(async () => {
    setPhrase(await session.phrase())
    setLoaded(true)
  })
  const confirm = useAction(async () => {
    await session.confirmPhrase()
    onClose()
  })
  useEffect(() => load.run(), [])
  return (
    <Dialog title="Recovery phrase" onClose={onClose}>
      {load.busy && <Spinner label="Reading" />}
      <ErrorLine text={load.error ?? confirm.error} />
      {loaded && phrase === undefined && (
        <p>You confirmed having it, so this browser no longer keeps the words. Only you have them.</p>
      )}
      {phrase !== undefined && (
        <>
          <p>
            These words are your account. Write them down on paper, in order. Whoever has them is you; nobody
            can give them back to you.
          </p>
          <ol class="phrase">
            {phrase.split(' ').map((word, index) => (
              <li key={`${index}-${word}`}>{word}</li>
            ))}
          </ol>
          <div class="actions">
            <CopyButton text={phrase} label="Copy words" />
          </div>
          <p class="note">After you confirm, this browser forgets the words.</p>
          <div class="actions end">
            <Button onClick={onClose}>Later</Button>
            <Button kind="primary" busy={confirm.busy} onClick={() => confirm.run()}>
              I have written it down
            </Button>
          </div>
        </>
      )}
    </Dialog>
  )
}
