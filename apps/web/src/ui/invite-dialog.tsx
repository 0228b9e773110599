import type { JSX } from 'preact'
import { useEffect, useId, useState } from 'preact/hooks'
import { CopyButton } from './copy-button.tsx'
import { Dialog } from './dialog.tsx'
import { fullTime } from './format.ts'
import type { MadeInvite, RoomModel } from './model.ts'
import { Button, ErrorLine, Field, Spinner } from './parts.tsx'
import { QrCode } from './qr.tsx'
import { useAction } from './use-action.ts'

/** Makes a link as soon as it opens: that is what nearly everybody comes for. */
export function InviteDialog({ room, onClose }: { room: RoomModel; onClose: () => void }): JSX.Element {
  const [made, setMade] = useState<MadeInvite | undefined>(undefined)
  const make = useAction(async () => setMade(await room.createInvite()))
  useEffect(() => make.run(), [])
  return (
    <Dialog title={`Bring somebody to ${room.summary.value.name}`} onClose={onClose}>
      {make.busy && <Spinner label="Making a link" />}
      {make.error !== undefined && (
        <>
          <ErrorLine text={make.error} />
          <div class="actions">
            <Button onClick={() => make.run()}>Try again</Button>
          </div>
        </>
      )}
      {made !== undefined && <MadeLink made={made} room={room} />}
      <ById room={room} />
    </Dialog>
  )
}

function MadeLink({ made, room }: { made: MadeInvite; room: RoomModel }): JSX.Element {
  const [revoked, setRevoked] = useState(false)
  const revoke = useAction(async () => {
    await room.revokeInvite(made.token)
    setRevoked(true)
  })
  if (revoked) return <p role="status">The link was taken back. It is good for nothing any more.</p>
  return (
    <div class="made-link">
      <QrCode text={made.url} label="QR code of the link" />
      <div class="made-link-side">
        <p>
          Whoever opens this link can join, one person per link. Give it to them over a channel you trust.
        </p>
        <input
          class="input mono"
          readOnly
          aria-label="Invite link"
          value={made.url}
          data-autofocus=""
          onFocus={(event) => event.currentTarget.select()}
        />
        <div class="actions">
          <CopyButton text={made.url} label="Copy link" />
          <Button kind="quiet" busy={revoke.busy} onClick={() => revoke.run()}>
            Take back
          </Button>
        </div>
        <ErrorLine text={revoke.error} />
        <p class="hint">Valid until {fullTime(made.expires)}.</p>
        {!made.reachable && (
          <p class="warning">
            No relay is reachable, so the link says nothing about how to find this browser. Connect first,
            then make a new one.
          </p>
        )}
      </div>
    </div>
  )
}

function ById({ room }: { room: RoomModel }): JSX.Element {
  const [userId, setUserId] = useState('')
  const [added, setAdded] = useState('')
  const [step, setStep] = useState('')
  const id = useId()
  const add = useAction(async () => {
    await room.invite(userId.trim(), setStep)
    setAdded(userId.trim())
    setUserId('')
  })
  return (
    <details class="by-id">
      <summary>By user id instead</summary>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          setAdded('')
          add.run()
        }}
      >
        <Field label="User id" hint="Looks like @name:k51qzi5uqu5d…" id={id}>
          {({ id: input, describedBy }) => (
            <input
              id={input}
              class="input mono"
              value={userId}
              autocapitalize="none"
              autocomplete="off"
              spellcheck={false}
              aria-describedby={describedBy}
              onInput={(event) => setUserId(event.currentTarget.value)}
            />
          )}
        </Field>
        {add.busy && <Spinner label={step} />}
        <ErrorLine text={add.error} />
        <p class="hint" role="status">
          {added === '' ? '' : `Asked ${added} to join.`}
        </p>
        <div class="actions">
          <Button type="submit" busy={add.busy} disabled={userId.trim() === ''}>
            Add person
          </Button>
        </div>
      </form>
    </details>
  )
}
