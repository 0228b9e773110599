import type { JSX } from 'preact'
import { InviterName } from './link-screens.tsx'
import type { AppModel, OpenedLinkView, SessionModel } from './model.ts'
import { Avatar, Button, ErrorLine } from './parts.tsx'
import { useAction } from './use-action.ts'

export type OpenedLinkListProps = { readonly app: AppModel; readonly session: SessionModel }

export function OpenedLinkList({ app, session }: OpenedLinkListProps): JSX.Element | undefined {
  const links = session.openedLinks.value
  if (links.length === 0) return undefined
  return (
    <section class="invites" aria-label="Opened links">
      <h2>Opened links</h2>
      <ul>
        {links.map((link) => (
          <OpenedLinkRow key={link.key} link={link} app={app} session={session} />
        ))}
      </ul>
    </section>
  )
}

function OpenedLinkRow({ link, app, session }: OpenedLinkListProps & { link: OpenedLinkView }): JSX.Element {
  const forget = useAction(async () => session.forgetLink(link.key))
  const name = link.roomName ?? 'a room'
  return (
    <li class="invite-row">
      <Avatar name={name} id={link.key} size={40} />
      <div class="room-lines">
        <span class="room-name">{name}</span>
        <Outcome link={link} />
        <ErrorLine text={forget.error} />
        <div class="actions">
          {link.state === 'waiting' && <Button onClick={() => app.readLink(link.url)}>Try again</Button>}
          <Button busy={forget.busy} onClick={() => forget.run()}>
            Forget
          </Button>
        </div>
      </div>
    </li>
  )
}

const WORDS: Readonly<Record<OpenedLinkView['state'], readonly [before: string, after: string]>> = {
  waiting: [
    'Waiting for ',
    ', whose Plexus is closed. The invitation comes by itself once they have opened it, also when you close this page meanwhile.',
  ],
  refused: [
    '',
    ' was reached, and the link is no longer valid: it was used, taken back, or is older than 7 days. Ask for a new one.',
  ],
  unanswered: ['', ' did not open Plexus within 7 days. The link is no longer valid: ask for a new one.'],
}

function Outcome({ link: { state, inviter } }: { link: OpenedLinkView }): JSX.Element {
  const [before, after] = WORDS[state]
  return (
    <p class="note" role="status">
      {before}
      <InviterName userId={inviter} />
      {after}
    </p>
  )
}
