import type { JSX } from 'preact'
import { useId, useState } from 'preact/hooks'
import type { AppModel } from './model.ts'
import { Button, ErrorLine, Field } from './parts.tsx'
import { useAction } from './use-action.ts'

/** Largest export file that is read. */
const MAX_FILE_BYTES = 64 * 1024 * 1024

export function ImportForm({ app }: { app: AppModel }): JSX.Element {
  const [phrase, setPhrase] = useState('')
  const [file, setFile] = useState<File | undefined>(undefined)
  const [localpart, setLocalpart] = useState('')
  const ids = { phrase: useId(), file: useId(), localpart: useId() }
  const restore = useAction(async () => {
    if (file !== undefined && file.size > MAX_FILE_BYTES)
      throw new Error('That file is too large to be an export of Plexus.')
    await app.importAccount({ phrase, file: await file?.text(), localpart: localpart.trim() })
  })
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        restore.run()
      }}
    >
      <Field label="Recovery phrase" hint="Twelve words, in order." id={ids.phrase}>
        {({ id, describedBy }) => (
          <textarea
            id={id}
            class="input phrase-input"
            rows={3}
            value={phrase}
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            required
            aria-describedby={describedBy}
            onInput={(event) => setPhrase(event.currentTarget.value)}
          />
        )}
      </Field>
      <Field
        label="Exported file"
        hint="Optional. Brings your rooms and the keys of old messages along."
        id={ids.file}
      >
        {({ id, describedBy }) => (
          <input
            id={id}
            class="input"
            type="file"
            accept=".plexus,application/json"
            aria-describedby={describedBy}
            onChange={(event) => setFile(event.currentTarget.files?.[0])}
          />
        )}
      </Field>
      {file === undefined && (
        <Field label="First part of your user id" hint="The part between @ and the colon." id={ids.localpart}>
          {({ id, describedBy }) => (
            <input
              id={id}
              class="input"
              value={localpart}
              autocapitalize="none"
              spellcheck={false}
              required
              aria-describedby={describedBy}
              onInput={(event) => setLocalpart(event.currentTarget.value)}
            />
          )}
        </Field>
      )}
      <p class="note">
        The account moves here. The browser or device that has it now stops using it, as soon as it is online.
      </p>
      <ErrorLine text={restore.error} />
      <div class="actions">
        <Button kind="primary" type="submit" busy={restore.busy} disabled={phrase.trim() === ''}>
          Import
        </Button>
      </div>
    </form>
  )
}
