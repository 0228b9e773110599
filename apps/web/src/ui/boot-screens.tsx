import type { ComponentChildren, JSX } from 'preact'
import { Mark } from './icons.tsx'
import type { Problem } from './model.ts'
import { Button, ProblemCard, Spinner } from './parts.tsx'

/** The page before and outside a session: one column with the mark on top. */
export function Page({
  children,
  wide = false,
}: {
  children: ComponentChildren
  wide?: boolean
}): JSX.Element {
  return (
    <main class={wide ? 'page wide' : 'page'}>
      <header class="brand">
        <Mark size={40} />
        <span class="brand-name">Plexus</span>
      </header>
      {children}
    </main>
  )
}

export function StartingScreen({ step }: { step: string }): JSX.Element {
  return (
    <Page>
      <div class="starting">
        <Spinner label={step} />
      </div>
    </Page>
  )
}

export function InsecureScreen(): JSX.Element {
  const secure = `https://${location.host}`
  return (
    <Page>
      <div class="card">
        <h1>This address is not secure enough</h1>
        <p>
          Plexus keeps your keys in this browser. On a plain <code>http://</code> address from another machine
          the browser switches off what protects them, so nothing was created here.
        </p>
        <h2>What to do</h2>
        <ul>
          <li>
            Open Plexus over HTTPS, for example <code>{secure}</code>, if its operator has set that up.
          </li>
          <li>
            On the machine that runs Plexus itself, open <code>http://127.0.0.1:{location.port || '80'}</code>
            .
          </li>
          <li>
            If you operate it: start it with <code>--tls-cert</code> and <code>--tls-key</code>.
          </li>
        </ul>
      </div>
    </Page>
  )
}

export function UnsupportedScreen({ missing }: { missing: readonly string[] }): JSX.Element {
  return (
    <Page>
      <div class="card">
        <h1>This browser cannot run Plexus</h1>
        <p>It lacks: {missing.join(', ')}.</p>
        <p>Use a current Chrome, Edge, Firefox or Safari, and not a private window if it still fails.</p>
      </div>
    </Page>
  )
}

export function ElsewhereScreen({ lost, onUseHere }: { lost: boolean; onUseHere: () => void }): JSX.Element {
  return (
    <Page>
      <div class="card center">
        <h1>Plexus is open in another tab</h1>
        <p>
          {lost
            ? 'The other tab took over. Your account runs in one tab at a time; everything is there.'
            : 'Your account runs in one tab at a time. Continue there, or take over here.'}
        </p>
        <div class="actions">
          <Button kind="primary" onClick={onUseHere}>
            Use here
          </Button>
        </div>
      </div>
    </Page>
  )
}

export function FailedScreen({ problem }: { problem: Problem }): JSX.Element {
  return (
    <Page>
      <ProblemCard problem={problem} alone>
        <div class="actions">
          <Button kind="primary" onClick={() => location.reload()}>
            Reload
          </Button>
        </div>
      </ProblemCard>
    </Page>
  )
}
