import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { Page } from './boot-screens.tsx'
import { ImportForm } from './import-form.tsx'
import type { AppModel } from './model.ts'
import { PasteLink } from './paste-link.tsx'
import { SignUp } from './sign-up.tsx'

type Tab = 'new' | 'import' | 'link'

export function WelcomeScreen({ app }: { app: AppModel }): JSX.Element {
  const [tab, setTab] = useState<Tab>('new')
  return (
    <Page>
      <div class="card">
        {tab === 'new' && (
          <>
            <h1>Talk without a server in between</h1>
            <p class="lead">
              Your account lives in this browser. Messages are end-to-end encrypted and go straight to the
              people you write to. No e-mail address, no phone number.
            </p>
            <SignUp app={app} />
          </>
        )}
        {tab === 'import' && (
          <>
            <h1>Bring your account here</h1>
            <ImportForm app={app} />
          </>
        )}
        {tab === 'link' && (
          <>
            <h1>Open a link</h1>
            <PasteLink app={app} />
          </>
        )}
      </div>
      <nav class="alternatives" aria-label="Other ways to start">
        {tab !== 'new' && (
          <button type="button" class="link-button" onClick={() => setTab('new')}>
            Make a new account
          </button>
        )}
        {tab !== 'link' && (
          <button type="button" class="link-button" onClick={() => setTab('link')}>
            I was given a link
          </button>
        )}
        {tab !== 'import' && (
          <button type="button" class="link-button" onClick={() => setTab('import')}>
            I have an account: import it
          </button>
        )}
      </nav>
    </Page>
  )
}
