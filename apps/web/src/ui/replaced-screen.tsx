import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { Page } from './boot-screens.tsx'
import { Dialog } from './dialog.tsx'
import type { ReplacedModel } from './model.ts'
import { Button, ErrorLine } from './parts.tsx'
import { saveText } from './save.ts'
import { useAction } from './use-action.ts'

/** Another device has the account: says so, and leaves the choice. */
export function ReplacedScreen({ here }: { here: ReplacedModel }): JSX.Element {
  const [asking, setAsking] = useState<'back' | 'remove' | undefined>(undefined)
  const save = useAction(async () => {
    const { name, text } = await here.exportAccount()
    saveText(name, text)
  })
  const close = (): void => setAsking(undefined)
  return (
    <Page>
      <div class="card">
        <div role="alert" class="words">
          <h1>This account now runs on another device</h1>
          <p>
            It was taken over there, so this browser has stopped: it sends and receives nothing for it any
            more. What was here until then is still here, and what it had not sent stays unsent.
          </p>
        </div>
        <ErrorLine text={save.error} />
        <div class="actions">
          <Button onClick={() => setAsking('back')}>Use it here again</Button>
          <Button busy={save.busy} onClick={() => save.run()}>
            Export account
          </Button>
          <Button onClick={() => setAsking('remove')}>Remove from this browser</Button>
        </div>
        <p class="hint">
          The export is a file with the rooms and message keys of this browser, encrypted; it opens only with
          the recovery phrase.
        </p>
      </div>
      {asking === 'back' && <BackDialog here={here} onClose={close} />}
      {asking === 'remove' && <RemoveDialog here={here} onClose={close} />}
    </Page>
  )
}

type Asking = { readonly here: ReplacedModel; readonly onClose: () => void }

function BackDialog({ here, onClose }: Asking): JSX.Element {
  const take = useAction(() => here.takeBack())
  return (
    <Dialog title="Use the account here again?" onClose={onClose}>
      <p>
        The other device then stops as this one has. Messages that came there meanwhile may be missing here,
        or not be readable.
      </p>
      <ErrorLine text={take.error} />
      <div class="actions end">
        <Button autofocus onClick={onClose}>
          Leave it there
        </Button>
        <Button kind="primary" busy={take.busy} onClick={() => take.run()}>
          Take it back
        </Button>
      </div>
    </Dialog>
  )
}

function RemoveDialog({ here, onClose }: Asking): JSX.Element {
  const remove = useAction(() => here.remove())
  return (
    <Dialog title="Remove the account from this browser?" onClose={onClose}>
      <p>
        Its keys and messages are deleted here for ever. The other device keeps the account. Whoever has the
        recovery phrase can import it here anew.
      </p>
      <ErrorLine text={remove.error} />
      <div class="actions end">
        <Button autofocus onClick={onClose}>
          Keep it
        </Button>
        <Button kind="danger" busy={remove.busy} onClick={() => remove.run()}>
          Remove for ever
        </Button>
      </div>
    </Dialog>
  )
}
