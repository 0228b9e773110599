import type { JSX } from 'preact'
import { Announcer } from './announcer.tsx'
import {
  ElsewhereScreen,
  FailedScreen,
  InsecureScreen,
  StartingScreen,
  UnsupportedScreen,
} from './boot-screens.tsx'
import { ClockBar } from './clock-bar.tsx'
import { LinkLanding } from './link-screens.tsx'
import { Main } from './main.tsx'
import type { AppModel } from './model.ts'
import { ReplacedScreen } from './replaced-screen.tsx'
import { UpdateBar } from './update-bar.tsx'
import { WelcomeScreen } from './welcome.tsx'

export function App({ app }: { app: AppModel }): JSX.Element {
  return (
    <>
      {/* There from the start: what appears together with its region is not read out. */}
      <div role="status">
        <UpdateBar app={app} />
        <ClockBar app={app} />
      </div>
      <Screen app={app} />
      <Announcer />
    </>
  )
}

function Screen({ app }: { app: AppModel }): JSX.Element {
  const phase = app.phase.value
  switch (phase.kind) {
    case 'insecure':
      return <InsecureScreen />
    case 'unsupported':
      return <UnsupportedScreen missing={phase.missing} />
    case 'starting':
      return <StartingScreen step={phase.step} />
    case 'elsewhere':
      return <ElsewhereScreen lost={phase.lost} onUseHere={() => app.useHere()} />
    case 'replaced':
      return <ReplacedScreen here={phase.here} />
    case 'failed':
      return <FailedScreen problem={phase.problem} />
    case 'welcome':
      return app.link.value === undefined ? <WelcomeScreen app={app} /> : <LinkLanding app={app} />
    default:
      return <Main app={app} session={phase.session} />
  }
}
