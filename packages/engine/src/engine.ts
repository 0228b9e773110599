/** The engine of a node, composed of its parts over the ports. */
import type { ServerName, UserId } from '@plexus/core'
import { parseServerName, serverOf } from '@plexus/core'
import type { NodeControl, Place } from './ports.ts'
import type {
  Blobs,
  Clock,
  Directory,
  Federation,
  Log,
  Mailboxes,
  Pictures,
  PushGateway,
  Random,
  Sealer,
  Signer,
  Store,
  Verifier,
  WebPages,
} from './ports.ts'
import { createAppServicesOwner } from './app-services/index.ts'
import type { AppServicesInit } from './app-services/index.ts'
import type { AppServiceCalls, AppServices } from './app-services/types.ts'
import { createNodeControl, ownUser } from './control.ts'
import { loadEarlyEdus } from './early-edus.ts'
import { createInbound } from './inbound.ts'
import { loadIncarnation } from './incarnation.ts'
import type { Committer } from './kernel/committer.ts'
import { createCommitter } from './kernel/committer.ts'
import { createServerKeys } from './keys/server-keys.ts'
import type { ServerKeys } from './keys/types.ts'
import { createBlocked } from './mail/blocked.ts'
import { createMail } from './mail/index.ts'
import type { Mail } from './mail/index.ts'
import { withShelves } from './mail/shelf-asker.ts'
import { createSerial } from './kernel/serial.ts'
import type { EduHandler, Inbound, Outbox } from './outbox-types.ts'
import type { FanOutInit } from './outbox/fan-out.ts'
import { createOutbox } from './outbox/index.ts'
import { createPresence, createReadMarkers, createReceipts, createTyping } from './rooms-ephemeral/index.ts'
import type { Presence, ReadMarkers, Receipts, Typing } from './rooms-ephemeral/types.ts'
import { createPush } from './push/push.ts'
import { createRooms } from './rooms/index.ts'
import { createOpenedLinks } from './rooms/opened-links.ts'
import type { RoomMail } from './rooms/mailed-invites.ts'
import type { Rooms } from './rooms/types.ts'
import { createRoomDirectory, listAliases } from './directory/index.ts'
import type { RoomDirectory } from './directory/index.ts'
import { createSearchIndex } from './search/search-index.ts'
import { createPolls, createRoomReader, createSections, createSlidingSync, createSync } from './sync/index.ts'
import type { Polls, RoomReader, SlidingSync, Sync } from './sync/index.ts'
import { createUsers } from './users/index.ts'
import { peersOf } from './watch-peers.ts'
import { blocksInvites } from './users/unwanted.ts'
import type { UsersInit } from './users/deps.ts'
import type { Users } from './users/types.ts'

/** How often expired invite links are looked for. */
const LINK_EXPIRY_INTERVAL_MS = 3_600_000

export type EngineDeps = {
  readonly store: Store
  readonly blobs: Blobs
  /** Absent where the platform decodes no pictures: small ones then stand in for their thumbnails. */
  readonly pictures?: Pictures | undefined
  /** Absent where no web pages are read: there are no URL previews then. */
  readonly webPages?: WebPages | undefined
  /** Made with the incarnation of the store, which its envelopes name. */
  readonly federation: (incarnation: string) => Federation
  readonly directory: Directory
  readonly signer: Signer
  readonly verifier: Verifier
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Absent where no push gateways can be called: clients can set no pushers then. */
  readonly pushGateway?: PushGateway | undefined
  /** Absent where no relays can be asked to keep mail. */
  readonly mail?: { readonly mailboxes: Mailboxes; readonly sealer: Sealer } | undefined
  /** Resolves when what is ready to run has run. For a store that commits at once, so that changes can share a commit. */
  readonly turn?: () => Promise<void>
}

export type EngineInit = {
  readonly users?: UsersInit
  /** Servers asked about the keys of servers that do not answer; none by default. */
  readonly notaries?: readonly ServerName[]
  /** From which size on the events of a room spread by gossip, and to how many servers at once. */
  readonly fanOut?: FanOutInit | undefined
  /** JSON text of the durable EDUs that wait for one server, in UTF-16 code units; `MAX_WAITING_LENGTH` by default. */
  readonly maxWaitingLength?: number | undefined
  /** None by default. */
  readonly appServices?: AppServicesInit
  /** Tells a copy of the store that was put in its place, which may know less than others have from here. Absent where there are none. */
  readonly place?: Place | undefined
  /** Takes the account back from the device that took it over, if one did: that one then is replaced itself. */
  readonly takeBack?: boolean
}

export interface Engine {
  readonly serverName: ServerName
  /** 128 random bits of this store, unpadded URL-safe base64. */
  readonly incarnation: string
  readonly clock: Clock
  readonly log: Log
  readonly random: Random
  readonly committer: Committer
  readonly federation: Federation
  readonly keys: ServerKeys
  readonly rooms: Rooms
  readonly users: Users
  readonly receipts: Receipts
  readonly readMarkers: ReadMarkers
  readonly typing: Typing
  readonly presence: Presence
  readonly sync: Sync
  readonly slidingSync: SlidingSync
  readonly polls: Polls
  readonly reader: RoomReader
  readonly roomDirectory: RoomDirectory
  readonly appServices: AppServices & AppServiceCalls
  readonly outbox: Outbox
  readonly inbound: Inbound
  readonly control: NodeControl
  /** Absent where no relays can be asked to keep mail. */
  readonly mail: Mail | undefined
  /** Takes up what an earlier process left in staging and outbox. */
  resume(): Promise<void>
  /** Resolves when nothing is being processed, sent or committed; what waits for a peer may remain. */
  idle(): Promise<void>
  close(): Promise<void>
}

export async function createEngine(deps: EngineDeps, init: EngineInit = {}): Promise<Engine> {
  const { store, clock, log, random, signer } = deps
  const serverName = signer.name
  if (parseServerName(serverName) === undefined) throw new TypeError('the name key makes no server name')
  const committer = await createCommitter(store, deps.turn)
  const incarnation = await loadIncarnation({ store, committer, clock, random, log }, init.place)
  const federation = deps.federation(incarnation)
  const ports = { store, committer, clock, random, log, signer, federation, verifier: deps.verifier }
  const keys = createServerKeys(ports, { notaries: init.notaries ?? [] })
  const base = { ...ports, keys }
  const userExists = (userId: UserId): Promise<boolean> => users.accounts.exists(userId)
  const appServices = await createAppServicesOwner(
    { ...base, serverName, incarnation, aliases: () => listAliases(store), userExists },
    init.appServices,
  )
  const unanswered = (error: unknown): void =>
    log.log('warn', 'an application service could not be asked', { error: String(error) })
  /** For other servers, who wait for nothing else of ours. */
  const seekUser = (userId: UserId): Promise<void> =>
    appServices.queries.askForUser(userId, undefined).catch(unanswered)
  /** The account whose node this is, where there is one, was given up. */
  const isClosed = async (): Promise<boolean> => {
    const own = await ownUser(store)
    return own !== undefined && !(await users.accounts.exists(own))
  }
  const replacedListeners = new Set<() => void>()
  const isReplaced = (): boolean => mail?.account.isReplaced === true
  /** Nothing leaves for an account that runs on another device. */
  const stopTelling = (): void => {
    outboxOwner.close()
    roomDirectory.close()
    mail?.close()
  }
  const sharesRoom = (name: ServerName): boolean => outboxOwner.sharesRoom(name)
  const mail =
    deps.mail === undefined
      ? undefined
      : await createMail({
          ...base,
          ...deps.mail,
          incarnation,
          find: (name) => deps.directory.find(name),
          publish: (record) => deps.directory.publish(record),
          addresses: () => deps.directory.own(),
          sharesRoom,
          awaySince: (name) => outboxOwner.awaySince(name),
          outbox: () => outbox,
          peers: () => peersOf({ outbox, rooms }),
          keyShelf: () => users.keyShelf,
          blocked: createBlocked({ committer, users: () => users, rooms: () => rooms, outbox: () => outbox }),
          isClosed,
          tell: (names) => outboxOwner.tell(names),
          takeBack: init.takeBack === true,
          replaced: () => {
            stopTelling()
            for (const listener of replacedListeners) listener()
          },
        })
  const outboxOwner = await createOutbox({
    ...base,
    ownName: serverName,
    rooms: () => rooms,
    staging: () => staging,
    fanOut: init.fanOut,
    maxWaitingLength: init.maxWaitingLength,
    mail: mail === undefined || deps.mail === undefined ? undefined : { ...deps.mail, ...mail, incarnation },
  })
  const { outbox } = outboxOwner
  const roomMail: RoomMail | undefined = mail && {
    queueDurable: (name, edu) => outbox.queueDurable(name, edu),
    isFull: (name) => outbox.isFull(name),
    hasMailboxes: (name) => mail.contacts.hasMailboxes(name),
  }

  const roomParts = createRooms({
    ...base,
    destinations: outboxOwner.destinations,
    mail: roomMail,
    services: appServices.queue,
    blocksInvites: (userId) => blocksInvites(users.accountData, userId),
    seekUser,
    onJoined: (snapshot, joined) => {
      const failed = (what: string) => (error: unknown) => log.log('error', what, { error: String(error) })
      users.deviceLists.joined(snapshot, joined).catch(failed('device lists were not exchanged'))
      for (const user of joined) {
        if (serverOf(user) === serverName)
          users.upgradedRooms.joined(snapshot, user).catch(failed('settings of a room were not carried over'))
      }
    },
  })
  const { rooms, staging, links, completion } = roomParts
  const { blobs, pictures, webPages, pushGateway } = deps
  const users: Users = createUsers(
    {
      ...base,
      federation:
        mail === undefined || deps.mail === undefined
          ? federation
          : { ...federation, ...withShelves(federation, { ...base, ...deps.mail, contacts: mail.contacts }) },
      blobs,
      pictures,
      webPages,
      pushGateway,
      outbox,
      rooms: () => rooms,
      appServices: appServices.services,
      seekUser,
      deactivated: () => mail?.look(),
    },
    init.users,
  )
  const serial = createSerial(clock)
  const receipts = createReceipts({ store, committer, rooms: () => rooms, outbox, clock })
  const typing = createTyping({ rooms: () => rooms, outbox, clock, serial })
  const presence = createPresence({ rooms: () => rooms, outbox, clock, log, serial, serverName })
  const readMarkers = createReadMarkers({ rooms: () => rooms, accountData: users.accountData })
  const polls = createPolls({ committer, clock, sources: [typing, presence] })
  const sections = createSections({
    committer,
    clock,
    rooms,
    receipts,
    typing,
    presence,
    serial,
    polls,
    users,
  })
  const sync = createSync(sections)
  const push = createPush({ ...base, gateway: pushGateway, sections })
  const slidingSync = createSlidingSync(sections)
  const reader = createRoomReader({
    rooms,
    searchIndex: createSearchIndex({ store, committer, rooms }),
    clock,
    receipts,
    accountData: users.accountData,
    pushRules: users.pushRules,
  })
  const roomDirectory = createRoomDirectory({
    store,
    committer,
    rooms,
    federation,
    directory: deps.directory,
    signer,
    serverName,
    clock,
    log,
    seek: (alias) => appServices.queries.askForAlias(alias, undefined).catch(unanswered),
    aliasAdded: (alias, roomId) => appServices.interest.aliasAdded(alias, roomId),
    aliasRemoved: (alias, roomId) => appServices.interest.aliasRemoved(alias, roomId),
  })
  const services = await appServices.start({ rooms, receipts, typing, presence, outbox, serial })
  const openedLinks = createOpenedLinks({ ...base, federation, directory: deps.directory, mail: roomMail })
  const handlers = new Map<string, EduHandler>([
    ...Object.entries(users.edus),
    ...Object.entries(roomParts.edus),
    ['m.receipt', receipts.edu],
    ['m.typing', typing.edu],
    ['m.presence', presence.edu],
    ...Object.entries(openedLinks.edus),
    ...(mail === undefined ? [] : [['plexus.contact', mail.contacts.edu] as const]),
  ])
  const early = mail === undefined ? undefined : await loadEarlyEdus({ ...base, sharesRoom })
  handlers.set('plexus.gossip', outboxOwner.gossip.edu(handlers))
  const inbound = createInbound({
    store,
    committer,
    staging,
    clock,
    log,
    handlers,
    heads: outboxOwner.heads,
    isPlaced: async (id) => (await rooms.event(id))?.stateGroup !== undefined,
    versionOf: async (roomId) => (await rooms.snapshot(roomId))?.version,
    taken: (origin, taken) => outboxOwner.taken(origin, taken),
    early,
    received: (origin, received) => outbox.received(origin, received),
    isReplaced,
  })
  const control = createNodeControl({
    ...base,
    rooms,
    accounts: users.accounts,
    media: users.media,
    outbox,
    staging,
    completion,
    directory: deps.directory,
    openedLinks,
    account: mail?.account,
    replacedListeners,
    certified: (peerId) => mail?.device(peerId),
  })

  // A service acts as its sender from its first request on.
  for (const service of appServices.services.all) {
    const { senderLocalpart: localpart } = service.registration
    if (!(await users.accounts.exists(service.sender)))
      await users.accounts.register({ localpart, by: service })
  }

  let stopExpiry: (() => void) | undefined
  const expireLinks = (): void => {
    links
      .expireLinks()
      .catch((error: unknown) => log.log('error', 'invite links were not expired', { error: String(error) }))
    stopExpiry = clock.after(LINK_EXPIRY_INTERVAL_MS, expireLinks)
  }
  if (isReplaced()) stopTelling()

  const catchUpOnLists = (): void => {
    users.deviceLists
      .catchUp()
      .catch((error: unknown) => log.log('error', 'device lists were not told', { error: String(error) }))
  }
  outbox.onDrained(catchUpOnLists)

  return {
    serverName,
    incarnation,
    clock,
    log,
    random,
    committer,
    federation,
    keys,
    rooms,
    users,
    receipts,
    readMarkers,
    typing,
    presence,
    sync,
    slidingSync,
    polls,
    reader,
    roomDirectory,
    appServices: { ...appServices.services, ...services.calls },
    outbox,
    inbound,
    control,
    mail,
    async resume() {
      if (isReplaced()) return
      await staging.resume()
      await completion.resume()
      outboxOwner.resume()
      catchUpOnLists()
      services.push.resume()
      push.resume()
      expireLinks()
    },
    async idle() {
      await keys.idle()
      await staging.idle()
      await completion.idle()
      await mail?.idle()
      await outboxOwner.idle()
      await services.push.idle()
      await push.idle()
      await committer.idle()
    },
    async close() {
      stopExpiry?.()
      push.close()
      await push.idle()
      staging.close()
      completion.close()
      stopTelling()
      early?.close()
      services.push.close()
      await committer.idle()
      await store.close()
    },
  }
}
