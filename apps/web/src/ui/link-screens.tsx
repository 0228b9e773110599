/** What is shown for an invite link. All names are the link's own claim; nothing has been contacted yet. */
import type { JSX } from 'preact'
import { Page } from './boot-screens.tsx'
import { CopyButton } from './copy-button.tsx'
import { shortenId } from './format.ts'
import type { AppModel, LinkView } from './model.ts'
import { PasteLink } from './paste-link.tsx'
import { Avatar, Button, ProblemCard, Spinner } from './parts.tsx'
import { go } from './router.ts'
import { SignUp } from './sign-up.tsx'

/** `@ada:k51q…` with the server shortened. */
export function InviterName({ userId }: { userId: string }): JSX.Element {
  const colon = userId.indexOf(':')
  return (
    <span class="user-id" title={userId}>
      <strong>{userId.slice(0, colon)}</strong>:{shortenId(userId.slice(colon + 1), 8)}
    </span>
  )
}

function Claim({ link }: { link: LinkView }): JSX.Element {
  const room = link.roomName ?? 'a room'
  return (
    <div class="claim">
      <Avatar name={room} id={link.key} size={56} />
      <div>
        <h1>{room}</h1>
        <p>
          <InviterName userId={link.inviter} /> invites you.
        </p>
      </div>
    </div>
  )
}

/** For somebody without an account in this browser. */
export function LinkLanding({ app }: { app: AppModel }): JSX.Element {
  const state = app.link.value
  if (state === undefined) return <Page>{undefined}</Page>
  if (state.kind === 'broken') {
    return (
      <Page>
        <ProblemCard problem={state.problem} alone>
          <PasteLink app={app} />
          <button type="button" class="link-button" onClick={() => app.dismissLink()}>
            Go on without it
          </button>
        </ProblemCard>
      </Page>
    )
  }
  return (
    <Page>
      <div class="card">
        <Claim link={state.link} />
        <p class="note">These names are what the link says. Nothing is contacted before you agree.</p>
      </div>
      <section class="card" aria-labelledby="new-here">
        <h2 id="new-here">New here</h2>
        <p>One click makes your account in this browser. Then you can look at the invitation and decide.</p>
        <SignUp app={app} />
      </section>
      <section class="card" aria-labelledby="elsewhere">
        <h2 id="elsewhere">I have Plexus elsewhere: copy this</h2>
        <p>Copy the link and paste it into Plexus where your account is.</p>
        <input
          class="input mono"
          readOnly
          value={state.link.url}
          aria-label="This link"
          onFocus={(event) => event.currentTarget.select()}
        />
        <div class="actions">
          <CopyButton text={state.link.url} label="Copy link" />
        </div>
      </section>
      <section class="card" aria-labelledby="other-link">
        <h2 id="other-link">Another link</h2>
        <PasteLink app={app} />
      </section>
      <button type="button" class="link-button" onClick={() => app.dismissLink()}>
        Go on without the link
      </button>
    </Page>
  )
}

/** For somebody who is signed in: accept or refuse. */
export function LinkDecision({ app }: { app: AppModel }): JSX.Element | undefined {
  const state = app.link.value
  if (state === undefined) return undefined
  if (state.kind === 'broken') {
    return (
      <div class="center-pane">
        <ProblemCard problem={state.problem} alone>
          <PasteLink app={app} />
          <button type="button" class="link-button" onClick={() => app.dismissLink()}>
            Close
          </button>
        </ProblemCard>
      </div>
    )
  }
  const accept = (): void => {
    app
      .acceptLink()
      .then((roomId) => {
        if (roomId !== undefined) go({ page: 'room', roomId }, { replace: true })
        // That the inviter is waited for stands with the rooms.
        else if (app.link.value === undefined) go({ page: 'home' }, { replace: true })
      })
      .catch(reportError)
  }
  const joining = state.kind === 'joining'
  return (
    <div class="center-pane">
      <div class="card">
        <Claim link={state.link} />
        {state.kind === 'failed' ? (
          <ProblemCard problem={state.problem} />
        ) : (
          <p class="note">These names are what the link says. Nothing is contacted before you accept.</p>
        )}
        {joining && <Spinner label={state.step} />}
        <div class="actions">
          <Button kind="primary" busy={joining} onClick={accept} autofocus>
            Accept
          </Button>
          <Button disabled={joining} onClick={() => app.dismissLink()}>
            Refuse
          </Button>
        </div>
      </div>
    </div>
  )
}
