/** What a user interface needs beyond the Client-Server API: the one account of the node, links, deliveries. */
import type { JsonValue, RoomId, UserId } from '@plexus/core'
import { encodeBase64, stateKey } from '@plexus/core'
import type { Certificate } from '@plexus/core/names'
import { certificateBytes } from '@plexus/core/names'
import type { Committer } from './kernel/committer.ts'
import type { Table } from './kernel/table.ts'
import { table } from './kernel/table.ts'
import type { Account } from './mail/account.ts'
import type { Outbox } from './outbox-types.ts'
import type { Clock, Directory, InviteLink, NodeControl, Session, Signer, Store } from './ports.ts'
import type { Completion } from './rooms/completion.ts'
import type { OpenedLinks } from './rooms/opened-links.ts'
import type { Staging } from './rooms/staging.ts'
import type { Rooms } from './rooms/types.ts'
import type { Accounts, Media } from './users/types.ts'
import { UserError } from './users/types.ts'

/** How long a certificate is good; a node renews it long before. */
export const CERTIFICATE_LIFETIME_MS = 7_776_000_000
/** A peer's clock may be behind by this. */
export const CERTIFICATE_BACKDATE_MS = 86_400_000

const sessions: Table<readonly [string], Session> = table('session', ['s'])

/** The user whose node this is; `undefined` where it is there for many, or for nobody yet. */
export async function ownUser(store: Store): Promise<UserId | undefined> {
  return (await sessions.get(store, ['own']))?.userId
}

export type ControlDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly signer: Signer
  readonly clock: Clock
  readonly rooms: Rooms
  readonly accounts: Accounts
  readonly media: Media
  readonly outbox: Outbox
  readonly staging: Staging
  readonly completion: Pick<Completion, 'kick'>
  readonly directory: Directory
  readonly openedLinks: OpenedLinks
  /** Absent where no relays can be asked to keep mail. */
  readonly account: Pick<Account, 'isReplaced'> | undefined
  /** Called when another device took the account over. */
  readonly replacedListeners: Set<() => void>
  /** A transport key speaks for this node. */
  readonly certified: (peerId: string) => void
}

export function createNodeControl(deps: ControlDeps): NodeControl {
  return {
    async session() {
      const session = await sessions.get(deps.store, ['own'])
      if (session !== undefined && !(await deps.accounts.exists(session.userId)))
        throw new UserError('M_USER_DEACTIVATED', 'this account has been deactivated')
      if (session !== undefined) return session
      // An account whose sign-up was cut short before its session was kept gets a new one.
      const [userId] = await deps.accounts.list()
      return userId === undefined ? undefined : keepSession(deps, await deps.accounts.openSession(userId, {}))
    },
    isReplaced: () => deps.account?.isReplaced === true,
    watchReplaced(listener) {
      deps.replacedListeners.add(listener)
      return () => deps.replacedListeners.delete(listener)
    },
    async createAccount(localpart, deviceName) {
      return keepSession(deps, await deps.accounts.register({ localpart }, { displayName: deviceName }))
    },
    watchDeliveries: (listener) => Promise.resolve(deps.outbox.watch(listener)),
    delivery: (roomId, eventId) => deps.outbox.delivery(roomId, eventId),
    waiting: () => deps.outbox.waiting(),
    async createInvite(roomId, as): Promise<InviteLink> {
      const { token, secret } = await deps.rooms.createLinkInvite(roomId, as)
      const name = await roomName(deps.rooms, roomId)
      return {
        roomId,
        token,
        secret,
        inviter: as,
        multiaddrs: await deps.directory.own(),
        ...(name === undefined ? {} : { roomName: name }),
      }
    },
    revokeInvite: (roomId, token, as) => deps.rooms.revokeLinkInvite(roomId, token, as),
    openInvite: (link, as) => deps.openedLinks.open(link, as),
    openedLinks: (as) => deps.openedLinks.list(as),
    watchOpenedLinks: (listener) => deps.openedLinks.watch(listener),
    forgetOpenedLink: (roomId, as) => deps.openedLinks.forget(roomId, as),
    async certify(peerId) {
      const now = deps.clock.now()
      const certificate: Certificate = {
        name: deps.signer.name,
        peerId,
        notBefore: now - CERTIFICATE_BACKDATE_MS,
        expires: now + CERTIFICATE_LIFETIME_MS,
      }
      const signature = await deps.signer.sign(certificateBytes(certificate))
      deps.certified(peerId)
      return { certificate, signature: encodeBase64(signature) }
    },
    peerAppeared(name) {
      deps.outbox.kick([name], true)
      deps.staging.kick(name)
      deps.completion.kick(name)
    },
    forgetMedia: (server, mediaId) => deps.media.forget(server, mediaId),
  }
}

async function keepSession(deps: ControlDeps, session: Session): Promise<Session> {
  await deps.committer.submit({ durability: 'strict', writes: () => [sessions.put(['own'], session)] })
  return session
}

async function roomName(rooms: Rooms, roomId: RoomId): Promise<string | undefined> {
  const snapshot = await rooms.snapshot(roomId)
  const key = stateKey('m.room.name', '')
  const [event] = snapshot === undefined ? [] : await rooms.stateEvents(snapshot.state, [key])
  const name: JsonValue | undefined = event?.pdu.content['name']
  return typeof name === 'string' && name !== '' ? name : undefined
}
