/** The node of this browser: store, engine and both APIs in a worker. The page beside it has the network. */
import { isValidNewLocalpart } from '@plexus/core'
import { createClientApi, type ClientApi } from '@plexus/client-api'
import {
  createEngine,
  createSealer,
  createSigner,
  createVerifier,
  MIGRATIONS,
  watchPeers,
  type Engine,
} from '@plexus/engine'
import type {
  Carrier,
  Directory,
  InboundHandler,
  Mailboxes,
  MailHandler,
  Session,
} from '@plexus/engine/ports'
import { createFederation, createMailHandler, createServerApi } from '@plexus/server-api'
import { openBrowserBlobs } from '@plexus/store/blobs-browser'
import { openIdbStore } from '@plexus/store/idb'
import { createBridge, type Bridge } from '../bridge/bridge.ts'
import type { NodeApi, PageApi, WireRequest, WireResponse } from '../bridge/api.ts'
import { clock, log, random } from '../shared/platform.ts'
import { canvasPictures } from './pictures.ts'
import { checkPhrase, openKeyStore, unsealText, type Identity, type KeyStore } from './key-store.ts'

const STORE = 'plexus'
const BLOBS = 'plexus-media'
const KEY_ID = 'ed25519:0'
const SOFTWARE = { name: 'Plexus', version: '0.1.0' }
/** Where requests without an address of their own seem to go. */
const BASE = 'http://node.invalid'

/** All that exists once there is an account. */
type Node = {
  readonly engine: Engine
  readonly clientApi: ClientApi
  readonly serverApi: InboundHandler
  readonly mailHandler: MailHandler
}

declare const self: DedicatedWorkerGlobalScope

async function startNode(identity: Identity, takeBack: boolean, page: Bridge<PageApi>): Promise<Node> {
  const { subtle } = crypto
  const store = await openIdbStore(STORE, { migrations: MIGRATIONS })
  const blobs = await openBrowserBlobs(BLOBS)
  const signer = createSigner(subtle, { name: identity.name, keyId: KEY_ID, privateKey: identity.privateKey })
  const verifier = createVerifier(subtle)
  const carrier: Carrier = {
    send: (request, { timeoutMs, signal }) =>
      page.call('send', { request, timeoutMs }, signal === undefined ? {} : { signal }),
  }
  const directory: Directory = {
    learn: (addresses) => page.call('learn', addresses),
    own: () => page.call('ownAddresses', null),
    find: (name) => page.call('find', name),
    findAlias: (alias) => page.call('findAlias', alias),
    findListing: (name) => page.call('findListing', name),
    publish: (record) => page.call('publish', record),
  }
  const mailboxes: Mailboxes = {
    relays: () => page.call('mailRelays', null),
    register: (relay, registration) => page.call('mailRegister', { relay, registration }),
    fetch: (relay, cursor, end) => page.call('mailFetch', { relay, cursor, end }),
    acknowledge: (relay, cursor) => page.call('mailAcknowledge', { relay, cursor }),
    deposit: (mailbox, mail, accessKey) => page.call('mailDeposit', { mailbox, mail, accessKey }),
    stock: (relay, shelf, keys) => page.call('mailStock', { relay, shelf, keys }),
    ask: (mailbox, name, question) => page.call('mailAsk', { mailbox, name, question }),
  }
  const federation = (incarnation: string): ReturnType<typeof createFederation> =>
    createFederation({ carrier, signer, clock }, { incarnation })
  const engine = await createEngine(
    {
      store,
      blobs,
      pictures: canvasPictures,
      federation,
      directory,
      mail: { mailboxes, sealer: createSealer() },
      signer,
      verifier,
      clock,
      random,
      log,
    },
    { users: { maxAccounts: 1 }, takeBack },
  )
  const { rooms, roomDirectory, inbound, keys, serverName } = engine
  const serverApi = createServerApi({
    serverName,
    rooms,
    roomDirectory,
    inbound,
    queries: engine.users.queries,
    openId: engine.users.openId,
    verifier,
    keys,
    random,
    clock,
    log,
    heard: (server) => engine.outbox.heard(server),
    software: SOFTWARE,
  })
  engine.committer.onFailure(({ code, message }) => {
    if (code === 'closed') return
    page.call('stopped', { code, message }).catch(ignoreClosed)
  })
  engine.control.watchReplaced(() => {
    page.call('replaced', null).catch(ignoreClosed)
  })
  const mailHandler = createMailHandler({ ...engine, verifier })
  return { engine, clientApi: createClientApi(engine), serverApi, mailHandler }
}

/** The page is gone, so nobody is there to be told. */
function ignoreClosed(error: unknown): void {
  log.log('debug', 'the page was not told', { error: String(error) })
}

async function answer(api: ClientApi, request: WireRequest, signal: AbortSignal): Promise<WireResponse> {
  const { method, path, headers, body } = request
  const init: RequestInit = { method, headers: headers.map(([name, value]) => [name, value]), signal }
  if (body !== undefined) init.body = typeof body === 'string' ? body : new Uint8Array(body)
  const response = await api(new Request(BASE + path, init))
  return {
    status: response.status,
    headers: [...response.headers],
    body: new Uint8Array(await response.arrayBuffer()),
  }
}

function main(): void {
  let keys: Promise<KeyStore> | undefined
  let node: Promise<Node> | undefined
  const keyStore = (): Promise<KeyStore> => (keys ??= openKeyStore())
  const running = async (): Promise<Node> => {
    if (node === undefined) throw new Error('there is no account yet')
    return node
  }
  const start = (identity: Identity, takeBack = false): Promise<Node> => {
    node ??= startNode(identity, takeBack, page)
    // A start that failed may be tried again.
    node.catch(() => {
      node = undefined
    })
    return node
  }

  const api: NodeApi = {
    async open({ takeBack }) {
      const identity = await (await keyStore()).identity()
      if (identity === undefined) return undefined
      const { engine } = await start(identity, takeBack)
      return engine.control.session()
    },
    async signUp({ localpart, phrase, deviceName }): Promise<Session> {
      // Checked before an identity is made that would then have no account.
      if (!isValidNewLocalpart(localpart))
        throw new Error('The first part of a user id has a-z, 0-9 and ._=/+- only.')
      // An attempt before this one may have made the account, and failed later.
      const account = await (await node)?.engine.control.session()
      const identity = await (await keyStore()).makeIdentity(phrase, account !== undefined)
      const { engine } = await start(identity)
      if (engine.serverName !== identity.name) throw new Error('Reload the page, then import again.')
      const { control } = engine
      return (await control.session()) ?? control.createAccount(localpart, deviceName)
    },
    fetch: async (request, signal) => answer((await running()).clientApi, request, signal),
    inbound: async (request) => (await running()).serverApi(request),
    async watch() {
      const { engine, mailHandler } = await running()
      const session = await engine.control.session()
      if (session === undefined) throw new Error('there is no account yet')
      await engine.control.watchDeliveries((delivery) => {
        page.call('delivered', delivery).catch(ignoreClosed)
      })
      engine.control.watchOpenedLinks(() => {
        page.call('linksChanged', null).catch(ignoreClosed)
      })
      watchPeers(engine, (names) => {
        page.call('wanted', names).catch(ignoreClosed)
      })
      await engine.resume()
      engine.mail?.start(mailHandler)
    },
    delivery: async ({ roomId, eventId }) => (await running()).engine.control.delivery(roomId, eventId),
    waiting: async () => (await running()).engine.control.waiting(),
    createInvite: async ({ roomId, as }) => (await running()).engine.control.createInvite(roomId, as),
    revokeInvite: async ({ roomId, token, as }) =>
      (await running()).engine.control.revokeInvite(roomId, token, as),
    openInvite: async ({ link, as }) => (await running()).engine.control.openInvite(link, as),
    openedLinks: async (as) => (await running()).engine.control.openedLinks(as),
    forgetOpenedLink: async ({ roomId, as }) => (await running()).engine.control.forgetOpenedLink(roomId, as),
    isReplaced: async () => (await running()).engine.control.isReplaced(),
    certify: async (peerId) => (await running()).engine.control.certify(peerId),
    peerAppeared: async (name) => (await running()).engine.control.peerAppeared(name),
    mailArrived: async (relay) => (await running()).engine.mail?.arrived(relay),
    forgetMedia: async ({ server, mediaId }) => (await running()).engine.control.forgetMedia(server, mediaId),
    phrase: async () => (await keyStore()).phrase(),
    confirmPhrase: async () => (await keyStore()).confirmPhrase(),
    checkPhrase: async (typed) => checkPhrase(typed),
    unseal: async ({ phrase, sealed }) => unsealText(phrase, sealed),
    seal: async (text) => JSON.stringify(await (await keyStore()).seal(text)),
    transportKey: async (generated) => (await keyStore()).transportKey(generated),
    recall: async (name) => (await keyStore()).recall(name),
    remember: async ({ name, text }) => (await keyStore()).remember(name, text),
  }
  const page = createBridge<PageApi>(self, api)
}

main()
