/** A signed-in account on matrix-js-sdk, the node and the network, as the user interface sees it. */
import { serverOf, parseUserId, type ServerName } from '@plexus/core'
import type { Delivery, InviteLink, Session } from '@plexus/engine/ports'
import { batch, computed, effect, signal, type ReadonlySignal } from '@preact/signals'
import { initAsync } from '@matrix-org/matrix-sdk-crypto-wasm'
import {
  ClientEvent,
  KnownMembership,
  Preset,
  RoomEvent,
  Visibility,
  type MatrixClient,
  type Room,
} from './sdk.ts'
import type { NodeApi } from '../bridge/api.ts'
import type { Bridge } from '../bridge/bridge.ts'
import type { InviteSummary, Me, RoomSummary, SessionModel, StorageView } from '../ui/model.ts'
import { createBatch } from './batch.ts'
import { createDeliveries } from './deliveries.ts'
import { exportFile, type AccountExport } from './export.ts'
import { createInviteMaker } from './invite-maker.ts'
import { closeAccount, makeCrossSigning, openClient, startClient } from './matrix-client.ts'
import type { MediaAccess } from './media.ts'
import { memberName, nameIn, shortUserId } from './names.ts'
import type { Network } from './network.ts'
import { networkStatus, peerViews } from './network-view.ts'
import { createNodeFetch } from './node-fetch.ts'
import { withPatience } from './patience.ts'
import { askNotifications, notifyAbout, notificationState } from './notifications.ts'
import { createOpenedLinks } from './opened-links.ts'
import { createRoomModel, type LiveRoom } from './room-model.ts'
import { watchClient } from './session-events.ts'
import { isOpening } from './shown-events.ts'
import { isAlike, setIfChanged, setIfOthers } from './set-signal.ts'
import { summaryOf } from './summary.ts'
import { until } from './until.ts'

/** The screen follows the rooms at most this often. */
const REFRESH_MS = 8
/** How long the screen waits for the newest message to be decrypted. */
const OPENING_MS = 50
/** How long an ordinary invite may take to come once a link was exchanged. */
const INVITE_WAIT_MS = 20_000
const WAITING_MS = 150
/** How long a room that was joined may take to be on the screen. */
const LIST_WAIT_MS = 10_000
/** How long a relay may take to be there. */
const RELAY_WAIT_MS = 6_000

export type SessionDeps = {
  readonly node: Bridge<NodeApi>
  readonly network: Network
  readonly session: Session
}

export type LiveSession = SessionModel & {
  readonly client: MatrixClient
  /** The node told how far an event has got. */
  delivered(delivery: Delivery): void
  /** The node told that opened links may be others. */
  linksChanged(): void
  /** Exchanges a link for an invite and accepts it; answers with the room. */
  acceptLink(link: InviteLink, step: (words: string) => void): Promise<string | undefined>
  /** Takes over rooms and message keys of an export. */
  restore(exported: AccountExport): Promise<void>
  /** Unsent messages or files: closing the page would lose or delay them. */
  readonly busy: () => boolean
  stop(): void
}

export async function openSession(deps: SessionDeps): Promise<LiveSession> {
  const { node, network, session } = deps
  const nodeFetch = createNodeFetch(node)
  const client = await openClient(session, nodeFetch)
  const media: MediaAccess = {
    fetch: nodeFetch,
    accessToken: session.accessToken,
    forget: (server, mediaId) => node.call('forgetMedia', { server, mediaId }),
  }
  const models = new Map<string, LiveRoom>()
  const dirty = new Set<string>()
  /** Rooms whose link is being accepted: their invite is not asked about again. */
  const joining = signal<readonly string[]>([])
  const me = signal<Me>({
    userId: session.userId,
    name: shortUserId(session.userId),
    server: serverOf(session.userId),
  })
  const synced = signal(false)
  const rooms = signal<readonly RoomSummary[]>([])
  /** How often the rooms were read. */
  const refreshes = signal(0)
  const allInvites = signal<readonly InviteSummary[]>([])
  const waiting = signal(0)
  const storage = signal<StorageView>({ persistent: undefined, usedBytes: undefined, quotaBytes: undefined })
  const phraseUnconfirmed = signal((await node.call('phrase', null)) !== undefined)
  const notifications = signal(notificationState())
  const opened = createOpenedLinks(node, session.userId)
  const inviteMaker = createInviteMaker(node, network, session.userId)
  const nodes = {
    isConnected: (name: ServerName) => network.status.value.peers.some((peer) => peer.name === name),
    find: (name: ServerName) => network.p2p.directory.find(name),
  }
  const deliveries = createDeliveries(node, (roomId) => touch(roomId))
  const summaries = new Map<string, RoomSummary>()

  const refresh = createBatch(() => {
    const changed = [...dirty]
    dirty.clear()
    batch(() => {
      refreshes.value += 1
      for (const roomId of changed) {
        models.get(roomId)?.refresh()
        const room = client.getRoom(roomId)
        if (room?.getMyMembership() === KnownMembership.Join) {
          const summary = summaryOf(room, session.userId)
          if (!isAlike(summaries.get(roomId), summary)) summaries.set(roomId, summary)
        } else {
          summaries.delete(roomId)
          models.delete(roomId)
        }
      }
      setIfOthers(
        rooms,
        [...summaries.values()].toSorted((a, b) => (b.last?.time ?? 0) - (a.last?.time ?? 0)),
      )
      const invites = client.getRooms().filter(isInvite)
      setIfChanged(
        allInvites,
        invites.map((room) => inviteOf(room, session.userId)),
      )
      const name = client.getUser(session.userId)?.displayName
      if (name !== undefined && name !== session.userId && name !== me.value.name)
        me.value = { ...me.value, name }
    })
  }, REFRESH_MS)

  function touch(roomId: string): void {
    dirty.add(roomId)
    // What it says is there in a moment, and tells.
    const room = client.getRoom(roomId)
    refresh.touch(room !== null && isOpening(room) ? OPENING_MS : 0)
  }

  const countWaiting = createBatch(() => {
    node.call('waiting', null).then(
      (count) => (waiting.value = count),
      (error: unknown) => console.debug('plexus: the waiting messages were not counted', error),
    )
  }, WAITING_MS)

  const stopWatching = watchClient(client, {
    touch,
    sent: () => countWaiting.touch(),
    arrived: (event, room) => notifyAbout(event, room, session.userId),
  })
  const stopEffect = effect(() => {
    void network.status.value
    countWaiting.touch()
  })

  const readStorage = async (): Promise<void> => {
    const { usage, quota } = await navigator.storage.estimate()
    storage.value = { persistent: await navigator.storage.persisted(), usedBytes: usage, quotaBytes: quota }
  }

  async function join(roomId: string, via: readonly string[]): Promise<void> {
    await client.joinRoom(roomId, { viaServers: [...via] })
    await untilMembership(client, roomId, KnownMembership.Join)
    touch(roomId)
  }

  /** `undefined` when the invitation comes by mail. */
  async function acceptLink(link: InviteLink, step: (words: string) => void): Promise<string | undefined> {
    const { roomId } = link
    if (client.getRoom(roomId)?.getMyMembership() === KnownMembership.Join) return roomId
    joining.value = [...joining.value, roomId]
    try {
      network.alsoWant(serverOf(link.inviter))
      if (client.getRoom(roomId)?.getMyMembership() !== KnownMembership.Invite) {
        step('Connecting')
        await until(
          network.status,
          ({ state }) => state !== 'offline' && state !== 'connecting',
          RELAY_WAIT_MS,
        )
        step('Looking for the person who invited you')
        const outcome = await withPatience(() => node.call('openInvite', { link, as: session.userId }))
        // Who is connected is not asleep, only slow.
        if (outcome === 'waiting' && !nodes.isConnected(serverOf(link.inviter))) return undefined
        step('Waiting for the invitation')
        await untilMembership(client, roomId, KnownMembership.Invite)
      }
      step('Joining the room')
      await join(roomId, [serverOf(link.inviter)])
      return roomId
    } finally {
      joining.value = joining.value.filter((each) => each !== roomId)
    }
  }

  const namesAt = (server: ServerName): readonly string[] => {
    const names = new Set<string>()
    for (const room of client.getRooms()) {
      for (const member of room.getJoinedMembers()) {
        if (member.userId.endsWith(`:${server}`)) names.add(memberName(member))
      }
    }
    return [...names]
  }

  start().catch(reportError)
  async function start(): Promise<void> {
    await startClient(client)
    for (const room of client.getRooms()) touch(room.roomId)
    const { displayname } = await client
      .getProfileInfo(session.userId)
      .catch(() => ({ displayname: undefined }))
    if (displayname !== undefined) me.value = { ...me.value, name: displayname }
    synced.value = true
    await readStorage()
    await makeCrossSigning(client)
  }

  return {
    client,
    me,
    synced,
    rooms,
    invites: computed(() => allInvites.value.filter(({ roomId }) => !joining.value.includes(roomId))),
    openedLinks: opened.links,
    forgetLink: opened.forget,
    linksChanged: opened.changed,
    network: computed(() => ({ status: networkStatus(network.status.value), waiting: waiting.value })),
    peers: computed(() => {
      // Names come from the rooms.
      void refreshes.value
      return peerViews(network.status.value, network.wanted.value, namesAt)
    }),
    storage,
    phraseUnconfirmed,
    notifications,
    room(roomId) {
      const known = models.get(roomId)
      if (known !== undefined) return known
      const room = client.getRoom(roomId)
      if (room?.getMyMembership() !== KnownMembership.Join) return undefined
      const model = createRoomModel({ client, room, deliveries, media, inviteMaker, nodes })
      models.set(roomId, model)
      return model
    },
    async createRoom({ name, encrypted }) {
      const { room_id: roomId } = await client.createRoom({
        ...(name === '' ? {} : { name }),
        preset: Preset.PrivateChat,
        visibility: Visibility.Private,
        initial_state: encrypted ? [ENCRYPTION] : [],
      })
      await untilMembership(client, roomId, KnownMembership.Join)
      touch(roomId)
      await untilListed(rooms, roomId)
      return roomId
    },
    async acceptInvite(roomId) {
      askOnce(notifications)
      const inviter = parseUserId(
        allInvites.value.find((invite) => invite.roomId === roomId)?.inviterId ?? '',
      )
      await join(roomId, inviter === undefined ? [] : [serverOf(inviter)])
      await untilListed(rooms, roomId)
    },
    async refuseInvite(roomId) {
      await client.leave(roomId)
    },
    async setName(name) {
      await client.setDisplayName(name)
      me.value = { ...me.value, name }
    },
    phrase: () => node.call('phrase', null),
    async confirmPhrase() {
      await node.call('confirmPhrase', null)
      phraseUnconfirmed.value = false
    },
    exportAccount: () => exportFile(node, client, me.value),
    closeAccount: () => closeAccount(client),
    async askPersistence() {
      await navigator.storage.persist()
      await readStorage()
    },
    async askNotifications() {
      notifications.value = await askNotifications()
    },
    delivered(delivery) {
      deliveries.told(delivery)
      countWaiting.touch()
    },
    async acceptLink(link, step) {
      askOnce(notifications)
      const roomId = await acceptLink(link, step)
      if (roomId !== undefined) await untilListed(rooms, roomId)
      return roomId
    },
    async restore({ rooms: exported, roomKeys }) {
      await client.getCrypto()?.importRoomKeysAsJson(roomKeys)
      for (const { roomId, vias } of exported) {
        // One room whose members are away does not keep the others.
        client
          .joinRoom(roomId, { viaServers: [...vias] })
          .catch((error: unknown) => console.warn('plexus: a room was not joined again', error))
      }
    },
    busy: () =>
      waiting.value > 0 || client.getRooms().some(hasUnsent) || [...models.values()].some(isUploading),
    stop() {
      refresh.stop()
      countWaiting.stop()
      stopWatching()
      stopEffect()
      client.stopClient()
    },
  }
}

/** Fetches and compiles the crypto module before it is needed. */
export async function preloadCrypto(): Promise<void> {
  await initAsync()
}

/** spec: client-server-api, modules/end_to_end_encryption "m.room.encryption" */
const ENCRYPTION = {
  type: 'm.room.encryption',
  state_key: '',
  content: { algorithm: 'm.megolm.v1.aes-sha2' },
} as const

function isInvite(room: Room): boolean {
  return room.getMyMembership() === KnownMembership.Invite.valueOf()
}

function inviteOf(room: Room, me: string): InviteSummary {
  const inviterId = room.getMember(me)?.events.member?.getSender() ?? ''
  return {
    roomId: room.roomId,
    name: room.name,
    inviter: nameIn(room, inviterId),
    inviterId,
    encrypted: room.hasEncryptionStateEvent(),
  }
}

function hasUnsent(room: Room): boolean {
  return room.getPendingEvents().length > 0
}

function isUploading(model: LiveRoom): boolean {
  return model.uploads.value.length > 0
}

/** The first accepted invitation is when one learns what notifications are good for. */
function askOnce(notifications: { value: NotificationPermission | 'unsupported' }): void {
  if (notifications.value !== 'default') return
  askNotifications()
    .then((state) => (notifications.value = state))
    .catch((error: unknown) => console.info('plexus: notifications were not asked for', error))
}

/** Resolves when the list on the screen has the room. @throws when one was put out of it meanwhile */
async function untilListed(rooms: ReadonlySignal<readonly RoomSummary[]>, roomId: string): Promise<void> {
  const isListed = await until(rooms, (all) => all.some((room) => room.roomId === roomId), LIST_WAIT_MS)
  if (!isListed) throw new Error('You are not in this room any more.')
}

async function untilMembership(client: MatrixClient, roomId: string, wanted: KnownMembership): Promise<void> {
  const is = (room: Room | null): boolean =>
    room?.roomId === roomId && room.getMyMembership() === wanted.valueOf()
  if (is(client.getRoom(roomId))) return
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(
    () => reject(new Error('The room did not answer in time. Try again.')),
    INVITE_WAIT_MS,
  )
  // A room tells of its membership before the client knows the room.
  const look = (room: Room): void => {
    if (is(room)) resolve()
  }
  client.on(RoomEvent.MyMembership, look)
  client.on(ClientEvent.Room, look)
  try {
    await promise
  } finally {
    clearTimeout(timer)
    client.off(RoomEvent.MyMembership, look)
    client.off(ClientEvent.Room, look)
  }
}
