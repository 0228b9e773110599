import type { JSX } from 'preact'
import { useId, useState } from 'preact/hooks'
import { Dialog } from './dialog.tsx'
import type { SessionModel } from './model.ts'
import { Button, ErrorLine, Field } from './parts.tsx'
import { go } from './router.ts'
import { useAction } from './use-action.ts'

const MAX_NAME_LENGTH = 100

export function NewRoomDialog({
  session,
  onClose,
}: {
  session: SessionModel
  onClose: () => void
}): JSX.Element {
  const [name, setName] = useState('')
  const [encrypted, setEncrypted] = useState(true)
  const ids = { name: useId(), encrypted: useId() }
  const create = useAction(async () => {
    const roomId = await session.createRoom({ name: name.trim(), encrypted })
    onClose()
    go({ page: 'room', roomId })
  })
  return (
    <Dialog title="Make a room" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          create.run()
        }}
      >
        <Field label="Name" hint="For example a topic, or who is in it. Members see it." id={ids.name}>
          {({ id, describedBy }) => (
            <input
              id={id}
              class="input"
              value={name}
              maxLength={MAX_NAME_LENGTH}
              autocomplete="off"
              data-autofocus=""
              aria-describedby={describedBy}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          )}
        </Field>
        <div class="switch-row">
          <div>
            <label for={ids.encrypted}>End-to-end encrypted</label>
            <p class="hint">
              {encrypted
                ? 'Only members can read it. This cannot be switched off later.'
                : 'Every node of a member stores the messages readable.'}
            </p>
          </div>
          <input
            id={ids.encrypted}
            class="switch"
            type="checkbox"
            role="switch"
            checked={encrypted}
            onChange={(event) => setEncrypted(event.currentTarget.checked)}
          />
        </div>
        <ErrorLine text={create.error} />
        <div class="actions end">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={create.busy}>
            Create
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
