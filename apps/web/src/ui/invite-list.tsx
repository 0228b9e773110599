import type { JSX } from 'preact'
import type { InviteSummary, SessionModel } from './model.ts'
import { Avatar, Button, ErrorLine } from './parts.tsx'
import { go } from './router.ts'
import { useAction } from './use-action.ts'

export function InviteList({ session }: { session: SessionModel }): JSX.Element | undefined {
  const invites = session.invites.value
  if (invites.length === 0) return undefined
  return (
    <section class="invites" aria-label="Invitations">
      <h2>Invitations</h2>
      <ul>
        {invites.map((invite) => (
          <InviteRow key={invite.roomId} invite={invite} session={session} />
        ))}
      </ul>
    </section>
  )
}

function InviteRow({ invite, session }: { invite: InviteSummary; session: SessionModel }): JSX.Element {
  const accept = useAction(async () => {
    await session.acceptInvite(invite.roomId)
    go({ page: 'room', roomId: invite.roomId })
  })
  const refuse = useAction(async () => session.refuseInvite(invite.roomId))
  return (
    <li class="invite-row">
      <Avatar name={invite.name} id={invite.roomId} size={40} />
      <div class="room-lines">
        <span class="room-name">{invite.name}</span>
        <span class="room-last" title={invite.inviterId}>
          from {invite.inviter}
          {invite.encrypted ? '' : ', not encrypted'}
        </span>
        <ErrorLine text={accept.error ?? refuse.error} />
        <div class="actions">
          <Button kind="primary" busy={accept.busy} disabled={refuse.busy} onClick={() => accept.run()}>
            Accept
          </Button>
          <Button busy={refuse.busy} disabled={accept.busy} onClick={() => refuse.run()}>
            Refuse
          </Button>
        </div>
      </div>
    </li>
  )
}
