import type { JSX } from 'preact'
import { useId, useState } from 'preact/hooks'
import { CopyButton } from './copy-button.tsx'
import { byteSize } from './format.ts'
import type { SessionModel, Theme } from './model.ts'
import { Button, ErrorLine, Field } from './parts.tsx'
import { saveText } from './save.ts'
import { ScreenHead } from './screen-head.tsx'
import { setTheme, theme } from './theme.ts'
import { useAction } from './use-action.ts'

export function SettingsView({
  session,
  onPhrase,
}: {
  session: SessionModel
  onPhrase: () => void
}): JSX.Element {
  return (
    <div class="scroll-screen">
      <ScreenHead title="Settings" />
      <div class="prose">
        <Profile session={session} />
        <Recovery session={session} onPhrase={onPhrase} />
        <Storage session={session} />
        <Notifications session={session} />
        <Look />
        <Closing session={session} />
        <About />
      </div>
    </div>
  )
}

function Profile({ session }: { session: SessionModel }): JSX.Element {
  const me = session.me.value
  const [name, setName] = useState(me.name)
  const save = useAction(async () => session.setName(name.trim()))
  const id = useId()
  return (
    <section class="card">
      <h2>You</h2>
      <form
        class="inline-form"
        onSubmit={(event) => {
          event.preventDefault()
          save.run()
        }}
      >
        <Field label="Name" id={id}>
          {({ id: input }) => (
            <input
              id={input}
              class="input"
              value={name}
              maxLength={60}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          )}
        </Field>
        <Button type="submit" busy={save.busy} disabled={name.trim() === '' || name.trim() === me.name}>
          Save
        </Button>
      </form>
      <ErrorLine text={save.error} />
      <Field label="User id" hint="Your server is this browser; its name is its key." id={`${id}-user`}>
        {({ id: input, describedBy }) => (
          <input
            id={input}
            class="input mono"
            readOnly
            value={me.userId}
            aria-describedby={describedBy}
            onFocus={(event) => event.currentTarget.select()}
          />
        )}
      </Field>
      <div class="actions">
        <CopyButton text={me.userId} label="Copy user id" />
      </div>
    </section>
  )
}

function Recovery({ session, onPhrase }: { session: SessionModel; onPhrase: () => void }): JSX.Element {
  const save = useAction(async () => {
    const { name, text } = await session.exportAccount()
    saveText(name, text)
  })
  return (
    <section class="card">
      <h2>Recovery</h2>
      <p>
        {session.phraseUnconfirmed.value
          ? 'You have not confirmed your recovery phrase yet. Without it, losing this browser is losing the account.'
          : 'You have confirmed your recovery phrase. This browser no longer keeps the words.'}
      </p>
      <p class="hint">
        The export is a file with your rooms and message keys, encrypted; it opens only with the recovery
        phrase. Make one now and then.
      </p>
      <ErrorLine text={save.error} />
      <div class="actions">
        {session.phraseUnconfirmed.value && <Button onClick={onPhrase}>Show recovery phrase</Button>}
        <Button busy={save.busy} onClick={() => save.run()}>
          Export account
        </Button>
      </div>
    </section>
  )
}

function Storage({ session }: { session: SessionModel }): JSX.Element {
  const { persistent, usedBytes, quotaBytes } = session.storage.value
  const ask = useAction(async () => session.askPersistence())
  return (
    <section class="card">
      <h2>Storage</h2>
      <p>
        {persistent === undefined && 'Asking the browser…'}
        {persistent === true &&
          'The browser granted persistent storage: it does not delete the account by itself.'}
        {persistent === false &&
          'The browser refused persistent storage: when the disk is nearly full it may delete the account. Keep your recovery phrase and an export.'}
      </p>
      {usedBytes !== undefined && quotaBytes !== undefined && (
        <p class="hint">
          {byteSize(usedBytes)} of {byteSize(quotaBytes)} used.
        </p>
      )}
      <ErrorLine text={ask.error} />
      {persistent === false && (
        <div class="actions">
          <Button busy={ask.busy} onClick={() => ask.run()}>
            Ask again
          </Button>
        </div>
      )}
    </section>
  )
}

function Notifications({ session }: { session: SessionModel }): JSX.Element {
  const state = session.notifications.value
  const ask = useAction(async () => session.askNotifications())
  return (
    <section class="card">
      <h2>Notifications</h2>
      <p>
        {state === 'granted' && 'You are told about new messages while Plexus is in the background.'}
        {state === 'denied' && 'The browser blocks them. Allow notifications for this site in its settings.'}
        {state === 'default' && 'Off.'}
        {state === 'unsupported' && 'This browser has none.'}
      </p>
      {state === 'default' && (
        <div class="actions">
          <Button busy={ask.busy} onClick={() => ask.run()}>
            Turn on
          </Button>
        </div>
      )}
    </section>
  )
}

const THEMES: readonly (readonly [Theme, string])[] = [
  ['system', 'As the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
]

function Look(): JSX.Element {
  const name = useId()
  return (
    <section class="card">
      <h2>Appearance</h2>
      <fieldset class="segments">
        <legend class="hidden-text">Theme</legend>
        {THEMES.map(([value, label]) => (
          <label key={value}>
            <input
              type="radio"
              name={name}
              value={value}
              checked={theme.value === value}
              onChange={() => setTheme(value)}
            />
            <span>{label}</span>
          </label>
        ))}
      </fieldset>
    </section>
  )
}

function Closing({ session }: { session: SessionModel }): JSX.Element {
  const [step, setStep] = useState<'quiet' | 'asking' | 'closed'>('quiet')
  const close = useAction(async () => {
    await session.closeAccount()
    setStep('closed')
  })
  if (step === 'closed')
    return (
      <section class="card">
        <h2>The account is closed</h2>
        <p role="status">Keep this page open for a minute, while the others are told.</p>
      </section>
    )
  return (
    <section class="card">
      <h2>Close account</h2>
      <p>
        You leave all rooms, and nobody can reach this user id again. This is for ever, in every browser and
        with the recovery phrase too.
      </p>
      <ErrorLine text={close.error} />
      <div class="actions">
        {step === 'quiet' ? (
          <Button onClick={() => setStep('asking')}>Close account</Button>
        ) : (
          <>
            <Button kind="danger" busy={close.busy} onClick={() => close.run()}>
              Close for ever
            </Button>
            <Button onClick={() => setStep('quiet')}>Keep it</Button>
          </>
        )}
      </div>
    </section>
  )
}

function About(): JSX.Element {
  return (
    <section class="card">
      <h2>What you trust</h2>
      <ul>
        <li>This browser and this device: your keys and messages are stored here.</li>
        <li>
          Whoever serves <code>{location.host}</code>, for the code of this page. The installed copy stays as
          it is until you agree to an update.
        </li>
        <li>The people in your rooms: they can read and pass on what you write there.</li>
        <li>Not the relays: they see who is connected and when, never what is said.</li>
      </ul>
      <p class="hint">Plexus is free software under the Apache License 2.0 and speaks the Matrix protocol.</p>
    </section>
  )
}
