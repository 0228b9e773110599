import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import { ConnectionView } from './connection-view.tsx'
import { Mark } from './icons.tsx'
import { LinkDecision } from './link-screens.tsx'
import type { AppModel, SessionModel } from './model.ts'
import { EmptyState, Spinner } from './parts.tsx'
import { PhraseDialog } from './phrase-dialog.tsx'
import { RoomView } from './room-view.tsx'
import { route } from './router.ts'
import { ScreenHead } from './screen-head.tsx'
import { SettingsView } from './settings-view.tsx'
import { Sidebar } from './sidebar.tsx'
import { followTitle } from './title.ts'

/** The app of somebody who is signed in: the list beside one screen, or one of the two on a phone. */
export function Main({ app, session }: { app: AppModel; session: SessionModel }): JSX.Element {
  const phraseShown = useSignal(false)
  useEffect(() => followTitle(session), [session])
  const reminder = (name: string): JSX.Element | undefined =>
    session.phraseUnconfirmed.value ? (
      <PhraseReminder name={name} onShow={() => (phraseShown.value = true)} />
    ) : undefined
  const onList = route.value.page === 'home' && app.link.value === undefined
  return (
    <div class="layout" data-pane={onList ? 'list' : 'screen'}>
      <a class="skip-link" href="#screen" onClick={skipToScreen}>
        Skip to the conversation
      </a>
      <Sidebar app={app} session={session} top={reminder('bar only-on-phone')} />
      <main class="screen" id="screen" tabIndex={-1}>
        {/* On a phone a conversation needs all the room there is; the list says it there. */}
        {reminder(route.value.page === 'room' ? 'bar not-on-phone' : 'bar')}
        <Screen app={app} session={session} onPhrase={() => (phraseShown.value = true)} />
      </main>
      {phraseShown.value && <PhraseDialog session={session} onClose={() => (phraseShown.value = false)} />}
    </div>
  )
}

function skipToScreen(event: MouseEvent): void {
  event.preventDefault()
  document.getElementById('screen')?.focus()
}

function PhraseReminder({ name, onShow }: { name: string; onShow: () => void }): JSX.Element {
  return (
    <div class={name}>
      <span>Write down your recovery phrase: without it, losing this browser is losing the account.</span>
      <button type="button" class="button small" onClick={onShow}>
        Show phrase
      </button>
    </div>
  )
}

function Screen(props: { app: AppModel; session: SessionModel; onPhrase: () => void }): JSX.Element {
  const { app, session, onPhrase } = props
  if (app.link.value !== undefined) return <LinkDecision app={app} />
  const where = route.value
  switch (where.page) {
    case 'connection':
      return <ConnectionView session={session} />
    case 'settings':
      return <SettingsView session={session} onPhrase={onPhrase} />
    case 'room': {
      const known = session.rooms.value.some((room) => room.roomId === where.roomId)
      const room = known ? session.room(where.roomId) : undefined
      if (room !== undefined) return <RoomView key={where.roomId} room={room} />
      return session.synced.value ? <NoSuchRoom /> : <Loading />
    }
    default:
      return session.synced.value ? <NothingOpen empty={session.rooms.value.length === 0} /> : <Loading />
  }
}

function Loading(): JSX.Element {
  return (
    <div class="center-pane">
      <Spinner label="Reading your rooms" />
    </div>
  )
}

function NoSuchRoom(): JSX.Element {
  return (
    <>
      <ScreenHead title="Room" />
      <EmptyState title="You are not in this room">
        <p>
          You left it, were removed from it, or the link is from another account. Choose a room from the list.
        </p>
      </EmptyState>
    </>
  )
}

function NothingOpen({ empty }: { empty: boolean }): JSX.Element {
  return (
    <EmptyState title={empty ? 'Nobody here yet' : 'Choose a room'} art={<Mark size={72} />}>
      {empty ? (
        <p>Make a room, then share its link with somebody. Or open a link that you were given.</p>
      ) : (
        <p>Your conversations are in the list.</p>
      )}
    </EmptyState>
  )
}
