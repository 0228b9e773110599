/**
 * Invite links that users of this node open. Where the inviter's node is away it is asked by mail, and the link waits here for the
 * invite, or for word that it is not good: the durable EDU `plexus.exchange_refused`, `{room_id, token}`.
 */
import type { JsonObject, RoomId, ServerName, UserId } from '@plexus/core'
import { decodeBase64, parseRoomId, parseUserId, serverOf } from '@plexus/core'
import { canMeet } from '@plexus/core/names'
import type { Committer } from '../kernel/committer.ts'
import { table, type Table } from '../kernel/table.ts'
import type { EduEffect, EduHandler } from '../outbox-types.ts'
import type { Clock, Directory, Federation, InviteLink, OpenedLink, Signer, Store, Write } from '../ports.ts'
import { FederationError } from '../ports.ts'
import { exchangeRequest, LINK_INVITE_LIFETIME_MS } from './link-invites.ts'
import { EXCHANGE_REFUSED, MAILED_EXCHANGE } from './mailed-edus.ts'
import { isAsleep, type RoomMail } from './mailed-invites.ts'
import { memberships } from './records.ts'
import { asRoomError } from './remote-join.ts'
import { RoomError } from './types.ts'

/** Links that wait; beyond, the one that was opened first is forgotten. */
export const MAX_OPENED_LINKS = 100
/** How long the inviter's node is waited for before it is mailed what a link asks of it. */
const EXCHANGE_WAIT_MS = 10_000

/** By who opened it. */
const openedLinks: Table<readonly [UserId, RoomId], OpenedLink> = table('opened-link', ['s', 's'])

export type OpenedLinksDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly clock: Clock
  readonly signer: Signer
  readonly federation: Pick<Federation, 'exchangeThirdPartyInvite'>
  readonly directory: Pick<Directory, 'learn'>
  /** Absent where no mail is left for nodes that are away. */
  readonly mail: RoomMail | undefined
}

export interface OpenedLinks {
  /** As `NodeControl.openInvite` has it. */
  open(link: InviteLink, as: UserId): Promise<'invited' | 'waiting'>
  /** Those that no invite has come for. */
  list(as: UserId): Promise<readonly OpenedLink[]>
  forget(roomId: RoomId, as: UserId): Promise<void>
  /** Calls back when the list may be another one, until the answer is called. */
  watch(listener: () => void): () => void
  /** By type. */
  readonly edus: Readonly<Record<string, EduHandler>>
}

export function createOpenedLinks(deps: OpenedLinksDeps): OpenedLinks {
  const { store, committer } = deps
  const forget = async (roomId: RoomId, as: UserId): Promise<void> => {
    await committer.submit({ writes: () => [openedLinks.delete([as, roomId])] })
  }
  return {
    async open(link, as) {
      const { server, roomId, event } = await requestOf(deps, link, as)
      const { mail } = deps
      const options = mail === undefined ? {} : { timeoutMs: EXCHANGE_WAIT_MS }
      try {
        await deps.federation.exchangeThirdPartyInvite(server, roomId, event, options)
      } catch (error) {
        if (mail !== undefined && (await isAsleep(mail, server, error))) {
          const edu = { edu_type: MAILED_EXCHANGE, content: { room_id: roomId, event } }
          const kept = await keep(deps, link, as)
          const writes = (): readonly Write[] => [...kept, ...mail.queueDurable(server, edu)]
          await committer.submit({ durability: 'strict', writes })
          return 'waiting'
        }
        if (error instanceof FederationError) await forget(roomId, as)
        throw asRoomError(error, 'the invite cannot be opened')
      }
      await forget(roomId, as)
      return 'invited'
    },
    async list(as) {
      const rows = await openedLinks.list(store, [as])
      const keys = rows.map(([key]) => key)
      const members = await memberships.getMany(store, keys)
      const isOver = (index: number): boolean =>
        members[index]?.membership === 'invite' || members[index]?.membership === 'join'
      const over = keys.filter((_, index) => isOver(index))
      if (over.length > 0)
        await committer.submit({ writes: () => over.map((key) => openedLinks.delete(key)) })
      return rows.filter((_, index) => !isOver(index)).map(([, row]) => row)
    },
    forget,
    watch: (listener) =>
      committer.onCommit((_position, maps) => {
        if (maps.has(openedLinks.map) || maps.has(memberships.map)) listener()
      }),
    edus: { [EXCHANGE_REFUSED]: (origin, content) => noteRefused(deps, origin, content) },
  }
}

async function noteRefused(
  { store }: OpenedLinksDeps,
  origin: ServerName,
  { room_id: roomId, token }: JsonObject,
): Promise<EduEffect> {
  const isMeant = ({ link }: OpenedLink): boolean =>
    link.roomId === roomId && link.token === token && serverOf(link.inviter) === origin
  const rows = (await openedLinks.list(store, [])).filter(([, row]) => isMeant(row))
  if (rows.length === 0) return undefined
  return { writes: () => rows.map(([key, row]) => openedLinks.put(key, { ...row, refused: true })) }
}

/** The request that the link is for. @throws RoomError M_INVALID_PARAM */
async function requestOf(
  deps: OpenedLinksDeps,
  link: InviteLink,
  as: UserId,
): Promise<{
  readonly server: ServerName
  readonly roomId: RoomId
  readonly event: ReturnType<typeof exchangeRequest>
}> {
  const roomId = parseRoomId(link.roomId)
  const inviter = parseUserId(link.inviter)
  const secret = decodeBase64(link.secret)
  if (roomId === undefined || inviter === undefined || secret?.length !== 32) {
    throw new RoomError('M_INVALID_PARAM', 'the invite link is damaged')
  }
  const server = serverOf(inviter)
  if (!canMeet(deps.signer.name)(server))
    throw new RoomError('M_INVALID_PARAM', 'the invite link comes from a node that this one cannot reach')
  if (server === deps.signer.name) throw new RoomError('M_INVALID_PARAM', 'this is a link of your own')
  await deps.directory.learn({ name: server, multiaddrs: link.multiaddrs })
  return { server, roomId, event: exchangeRequest({ roomId, token: link.token, secret, inviter }, as) }
}

/** The writes that have a link wait. */
async function keep(
  { store, clock }: OpenedLinksDeps,
  link: InviteLink,
  as: UserId,
): Promise<readonly Write[]> {
  const rows = (await openedLinks.list(store, [])).filter(
    ([[user, room]]) => user !== as || room !== link.roomId,
  )
  const oldestFirst = rows.toSorted(([, a], [, b]) => a.expires - b.expires)
  const over = oldestFirst.slice(0, Math.max(0, rows.length + 1 - MAX_OPENED_LINKS))
  return [
    ...over.map(([key]) => openedLinks.delete(key)),
    openedLinks.put([as, link.roomId], {
      link,
      expires: clock.now() + LINK_INVITE_LIFETIME_MS,
      refused: false,
    }),
  ]
}
