import type { JSX } from 'preact'
import { useId, useState } from 'preact/hooks'
import type { AppModel } from './model.ts'
import { Button, Field } from './parts.tsx'

export type PasteLinkProps = { readonly app: AppModel; readonly onRead?: () => void }

export function PasteLink({ app, onRead }: PasteLinkProps): JSX.Element {
  const [text, setText] = useState('')
  const id = useId()
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (text.trim() === '') return
        app.readLink(text)
        onRead?.()
      }}
    >
      <Field
        label="Link"
        hint="It is read here in the browser. Nothing is contacted before you agree."
        id={id}
      >
        {({ id: input, describedBy }) => (
          <input
            id={input}
            class="input"
            value={text}
            autocomplete="off"
            spellcheck={false}
            data-autofocus=""
            placeholder="https://…#…"
            aria-describedby={describedBy}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        )}
      </Field>
      <div class="actions">
        <Button type="submit" disabled={text.trim() === ''}>
          Open link
        </Button>
      </div>
    </form>
  )
}
