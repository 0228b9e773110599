/** What a user interface needs beyond the Client-Server API: the one account of the node, links, deliveries. */
import type { JsonValue, RoomId, ServerName, UserId } from '@plexus/core'
import { decodeBase64, encodeBase64, parseRoomId, parseUserId, serverOf, stateKey } from '@plexus/core'
import type { Certificate } from '@plexus/core/names'
import { canMeet, certificateBytes } from '@plexus/core/names'
import type { Committer } from './kernel/committer.ts'
import type { Table } from './kernel/table.ts'
import { table } from './kernel/table.ts'
import type { Outbox } from './outbox-types.ts'
import type {
  Clock,
  Directory,
  Federation,
  InviteLink,
  NodeControl,
  Session,
  Signer,
  Store,
  Write,
} from './ports.ts'
import { exchangeRequest } from './rooms/link-invites.ts'
import { MAILED_EXCHANGE } from './rooms/mailed-edus.ts'
import { isAsleep, type RoomMail } from './rooms/mailed-invites.ts'
import { asRoomError } from './rooms/remote-join.ts'
import type { Completion } from './rooms/completion.ts'
import type { Staging } from './rooms/staging.ts'
import type { Rooms } from './rooms/types.ts'
import { RoomError } from './rooms/types.ts'
import type { Accounts, Media } from './users/types.ts'
import { UserError } from './users/types.ts'

/** How long a certificate is good; a node renews it long before. */
export const CERTIFICATE_LIFETIME_MS = 7_776_000_000
/** A peer's clock may be behind by this. */
export const CERTIFICATE_BACKDATE_MS = 86_400_000

/** How long the inviter's node is waited for before it is mailed what a link asks of it. */
const EXCHANGE_WAIT_MS = 10_000

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
  readonly federation: Federation
  readonly directory: Directory
  /** Absent where no mail is left for nodes that are away. */
  readonly mail: RoomMail | undefined
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
    openInvite: (link, as) => openInvite(deps, link, as),
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
      deps.completion.kick()
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

/** Exchanges the link at the inviter's node, which answers with an ordinary invite before this resolves, or by mail. */
async function openInvite(deps: ControlDeps, link: InviteLink, as: UserId): Promise<'invited' | 'waiting'> {
  const roomId = parseRoomId(link.roomId)
  const inviter = parseUserId(link.inviter)
  const secret = decodeBase64(link.secret)
  if (roomId === undefined || inviter === undefined || secret?.length !== 32) {
    throw new RoomError('M_INVALID_PARAM', 'the invite link is damaged')
  }
  const server: ServerName = serverOf(inviter)
  if (!canMeet(deps.signer.name)(server))
    throw new RoomError('M_INVALID_PARAM', 'the invite link comes from a node that this one cannot reach')
  if (server === deps.signer.name) throw new RoomError('M_INVALID_PARAM', 'this is a link of your own')
  await deps.directory.learn({ name: server, multiaddrs: link.multiaddrs })
  const event = exchangeRequest({ roomId, token: link.token, secret, inviter }, as)
  const { mail } = deps
  const options = mail === undefined ? {} : { timeoutMs: EXCHANGE_WAIT_MS }
  try {
    await deps.federation.exchangeThirdPartyInvite(server, roomId, event, options)
    return 'invited'
  } catch (error) {
    if (mail !== undefined && (await isAsleep(mail, server, error))) {
      const edu = { edu_type: MAILED_EXCHANGE, content: { room_id: roomId, event } }
      const writes = (): readonly Write[] => mail.queueDurable(server, edu)
      await deps.committer.submit({ durability: 'strict', writes })
      return 'waiting'
    }
    throw asRoomError(error, 'the invite cannot be opened')
  }
}
