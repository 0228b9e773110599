/** From an account to a session, for as long as this page is the one. */
import type { Session } from '@plexus/engine/ports'
import type { NodeApi } from '../bridge/api.ts'
import type { Bridge } from '../bridge/bridge.ts'
import type { AppConfig } from './config.ts'
import type { Network } from './network.ts'
import type { LiveSession, SessionDeps } from './session.ts'

export type EnterDeps = {
  readonly node: Pick<Bridge<NodeApi>, 'call'>
  startNetwork(config: AppConfig): Promise<Network>
  openSession(deps: Pick<SessionDeps, 'network' | 'session'>): Promise<LiveSession>
  /** This page still holds the lock, and nothing failed. */
  isCurrent(): boolean
  /** What is to be stopped when the page is not the one any more. */
  own(part: { readonly network: Network } | { readonly session: LiveSession }): void
}

/**
 * Starts network and session of an account. When the page stops being the one meanwhile, no further part is started,
 * and the part that was on its way is stopped here: those that were there already were stopped by who owns them.
 * @throws NotCurrentError then, or what a part throws
 */
export async function enter(deps: EnterDeps, session: Session, config: AppConfig): Promise<LiveSession> {
  const network = await deps.startNetwork(config)
  if (!deps.isCurrent()) {
    await network[Symbol.asyncDispose]()
    throw new NotCurrentError()
  }
  deps.own({ network })
  // Mail comes in while the crypto loads, and the first sync has it.
  const watching = deps.node.call('watch', null)
  // A failure is met where it is waited for.
  watching.catch(() => undefined)
  const live = await deps.openSession({ network, session })
  if (!deps.isCurrent()) {
    live.stop()
    throw new NotCurrentError()
  }
  deps.own({ session: live })
  await watching
  if (!deps.isCurrent()) throw new NotCurrentError()
  return live
}

class NotCurrentError extends Error {
  override readonly name = 'NotCurrentError'
  constructor() {
    super('Plexus is open in another tab.')
  }
}
