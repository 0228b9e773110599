/** The engine of a node, composed of its parts over the ports. */
import type { ServerName, UserId } from '@plexus/core'
import { parseServerName, serverOf } from '@plexus/core'
import { createAppServicesOwner } from './app-services/index.ts'
import { createNodeControl, ownUser } from './control.ts'
import { loadEarlyEdus } from './early-edus.ts'
import { createInbound } from './inbound.ts'
import { loadIncarnation } from './incarnation.ts'
import { createCommitter } from './kernel/committer.ts'
import { createServerKeys } from './keys/server-keys.ts'
import { wasReplaced } from './mail/account.ts'
import { createBlocked } from './mail/blocked.ts'
import { createMail } from './mail/index.ts'
import { withShelves } from './mail/shelf-asker.ts'
import { createSerial } from './kernel/serial.ts'
import type { EduHandler } from './outbox-types.ts'
import { createOutbox } from './outbox/index.ts'
import { createPresence, createReadMarkers, createReceipts, createTyping } from './rooms-ephemeral/index.ts'
import { createPush } from './push/push.ts'
import { createRooms } from './rooms/index.ts'
import { createOpenedLinks } from './rooms/opened-links.ts'
import type { RoomMail } from './rooms/mailed-invites.ts'
import { createRoomDirectory, listAliases } from './directory/index.ts'
import { createSearchIndex } from './search/search-index.ts'
import { createPolls, createRoomReader, createSections, createSlidingSync, createSync } from './sync/index.ts'
import { createUsers } from './users/index.ts'
import { peersOf } from './watch-peers.ts'
import { blocksInvites } from './users/unwanted.ts'
import type { Users } from './users/types.ts'
import type { Engine, EngineDeps, EngineInit } from './engine-types.ts'

/** How often expired invite links are looked for. */
const LINK_EXPIRY_INTERVAL_MS = 3_600_000

export async function createEngine(deps: EngineDeps, init: EngineInit = {}): Promise<Engine> {
  const { store, clock, log, random, signer } = deps
  const serverName = signer.name
  if (parseServerName(serverName) === undefined) throw new TypeError('the name key makes no server name')
  const committer = await createCommitter(store, deps.turn)
  const isBack = init.takeBack === true && (await wasReplaced(store))
  const incarnation = await loadIncarnation({ store, committer, clock, random, log }, init.place, isBack)
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
  const awaySince = (name: ServerName): number | undefined => outboxOwner.awaySince(name)
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
          awaySince,
          outbox: () => outbox,
          peers: () => peersOf({ outbox, rooms }),
          keyShelf: () => users.keyShelf,
          blocked: createBlocked({ committer, users: () => users, rooms: () => rooms, outbox: () => outbox }),
          isClosed,
          tell: (names) => outboxOwner.tell(names),
          takeBack: isBack,
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
    heard: (server) => completion.heard(server),
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
          : {
              ...federation,
              ...(await withShelves(federation, { ...base, ...deps.mail, ...mail, awaySince })),
            },
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
