import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { CloseIcon } from './icons.tsx'
import type { MemberView, RoomModel } from './model.ts'
import { Avatar, Button, ErrorLine } from './parts.tsx'
import { go } from './router.ts'
import { useAction } from './use-action.ts'

const ROLES: Readonly<Record<MemberView['role'], string>> = {
  admin: 'admin',
  moderator: 'moderator',
  member: '',
}

export function MembersPanel({ room, onClose }: { room: RoomModel; onClose: () => void }): JSX.Element {
  const panel = useRef<HTMLElement>(null)
  useEffect(() => panel.current?.focus(), [])
  const leave = useAction(async () => {
    await room.leave()
    go({ page: 'home' }, { replace: true })
  })
  return (
    <aside
      id="members"
      class="members"
      aria-label="Members"
      ref={panel}
      tabIndex={-1}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose()
      }}
    >
      <header class="members-head">
        <h2>Members</h2>
        <button type="button" class="icon-button" aria-label="Close members" onClick={onClose}>
          <CloseIcon />
        </button>
      </header>
      <ul class="member-list">
        {room.members.value.map((member) => (
          <MemberRow key={member.userId} member={member} room={room} />
        ))}
      </ul>
      <div class="members-foot">
        <ErrorLine text={leave.error} />
        <Button
          kind="danger"
          busy={leave.busy}
          onClick={() => {
            if (confirm(`Leave ${room.summary.value.name}? You need a new invitation to come back.`))
              leave.run()
          }}
        >
          Leave room
        </Button>
      </div>
    </aside>
  )
}

function MemberRow({ member, room }: { member: MemberView; room: RoomModel }): JSX.Element {
  const kick = useAction(async () => room.kick(member.userId))
  const notes = [
    member.isMe ? 'you' : '',
    ROLES[member.role],
    member.membership === 'invite' ? 'invited' : '',
  ]
  return (
    <li class="member" title={member.userId}>
      <Avatar name={member.name} id={member.userId} size={34} />
      <div class="member-lines">
        <span class="member-name">{member.name}</span>
        <span class="hint">{notes.filter((note) => note !== '').join(', ')}</span>
        {kick.error !== undefined && <ErrorLine text={kick.error} />}
      </div>
      {member.canKick && (
        <button
          type="button"
          class="button small quiet"
          aria-label={`Remove ${member.name} from the room`}
          aria-busy={kick.busy}
          onClick={() => {
            if (confirm(`Remove ${member.name} from the room?`)) kick.run()
          }}
        >
          Remove
        </button>
      )}
    </li>
  )
}
