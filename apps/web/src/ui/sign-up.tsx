import type { JSX } from 'preact'
import { useId, useState } from 'preact/hooks'
import type { AppModel } from './model.ts'
import { Button, ErrorLine, Field } from './parts.tsx'
import { useAction } from './use-action.ts'

/** Longest display name that the form takes, in characters. */
const MAX_NAME_LENGTH = 60

/** One click makes an account; a name can be given before or later. */
export function SignUp({ app }: { app: AppModel }): JSX.Element {
  const [name, setName] = useState('')
  const create = useAction(async () => app.createAccount(name.trim()))
  const id = useId()
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        create.run()
      }}
    >
      <Field label="Your name" hint="Optional. Others see it; you can change it at any time." id={id}>
        {({ id: input, describedBy }) => (
          <input
            id={input}
            class="input"
            value={name}
            maxLength={MAX_NAME_LENGTH}
            autocomplete="nickname"
            aria-describedby={describedBy}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        )}
      </Field>
      <ErrorLine text={create.error} />
      <div class="actions">
        <Button kind="primary" type="submit" busy={create.busy}>
          Create account
        </Button>
      </div>
    </form>
  )
}
