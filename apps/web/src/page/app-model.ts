/**
 * The life of a page: is it the one that runs the node, is there an account, and the session.
 * Invariant: worker, network and matrix-js-sdk exist only while this page holds the Web Lock.
 */
import { acquireWebLock } from '@plexus/store/web-lock'
import type { Session } from '@plexus/engine/ports'
import { signal } from '@preact/signals'
import type { PageApi } from '../bridge/api.ts'
import { clock } from '../shared/platform.ts'
import type { AppModel, ImportRequest, Phase, ReplacedModel } from '../ui/model.ts'
import { watchAppUpdates, type AppUpdates } from './app-updates.ts'
import { missingCapabilities } from './capabilities.ts'
import { watchClock } from './clock-check.ts'
import { askServer, loadConfig, type AppConfig } from './config.ts'
import { enter } from './enter.ts'
import { createLinks } from './link-state.ts'
import { localpartOf } from './localpart.ts'
import type { Network } from './network.ts'
import { startNodeWorker, type NodeWorker } from './node-worker.ts'
import { diskFull, startProblem, stoppedProblem } from './problems.ts'
import type { LiveSession } from './session.ts'

const LOCK = 'plexus'
const DEVICE_NAME = 'Plexus in a browser'
/** There while an account is being removed from this browser. */
const REMOVING = 'plexus.removing'

export type RunningApp = AppModel & {
  /** Starts; every outcome is a phase. */
  start(): Promise<void>
}

/** What exists while this page is the one. */
type Running = {
  readonly worker: NodeWorker
  network?: Network
  session?: LiveSession
  /** Another device has the account. */
  isReplaced?: true
}

export function createApp(): RunningApp {
  const phase = signal<Phase>({ kind: 'starting', step: 'Starting' })
  const updateReady = signal(false)
  const links = createLinks()
  let updates: AppUpdates | undefined
  let running: Running | undefined
  let waiting: AbortController | undefined

  const stop = (): void => {
    const stopped = running
    running = undefined
    if (stopped === undefined) return
    stopParts(stopped).catch(reportError)
    stopped.worker.stop('this page is not the one any more')
  }
  const lost = (): void => {
    stop()
    phase.value = { kind: 'elsewhere', lost: true }
    waitForLock()
  }
  const fail = (problem: Extract<Phase, { kind: 'failed' }>['problem']): void => {
    stop()
    phase.value = { kind: 'failed', problem }
  }

  /** The node stays, without a network. */
  const replaced = (): void => {
    const here = running
    if (here === undefined) return
    here.isReplaced = true
    stopParts(here).catch(reportError)
    phase.value = { kind: 'replaced', here: replacedModel(here) }
  }

  function replacedModel({ worker: { node } }: Running): ReplacedModel {
    return {
      async exportAccount() {
        const { exportReplaced } = await import('./replaced.ts')
        const session = await node.call('open', { takeBack: false })
        if (session === undefined) throw new Error('There is no account in this browser.')
        return exportReplaced(node, session)
      },
      async takeBack() {
        stop()
        await lead(true)
      },
      async remove() {
        stop()
        await removeHere()
        // Without the fragment it is loaded anew.
        location.replace(location.pathname)
      },
    }
  }

  /** Goes on by itself when the other page is closed. */
  function waitForLock(): void {
    waiting?.abort()
    waiting = new AbortController()
    const { signal } = waiting
    acquireWebLock(LOCK, { signal, onLost: lost }).then(
      () => lead(),
      (error: unknown) => {
        if (!signal.aborted) fail(startProblem(error))
      },
    )
  }

  async function lead(takeBack = false): Promise<void> {
    phase.value = { kind: 'starting', step: 'Starting your server' }
    const config = loadConfig()
    const current: Running = {
      worker: startNodeWorker(
        pageApi(() => running, { lost, replaced, fail }),
        (message) => fail(stoppedProblem(message)),
      ),
    }
    running = current
    const loaded = preload()
    try {
      // What a removal that was cut short left is not an account.
      if (localStorage.getItem(REMOVING) !== null) await removeHere()
      const session = await current.worker.node.call('open', { takeBack })
      if (running !== current) return
      if (session === undefined) {
        phase.value = { kind: 'welcome' }
        await loaded
      } else if (await current.worker.node.call('isReplaced', null)) replaced()
      else await begin(current, session, await config)
    } catch (error) {
      if (isCurrent(current)) fail(startProblem(error))
    }
    // What the page has loaded by now, the service worker finds in the browser's cache.
    if (updates !== undefined) return
    updates = watchAppUpdates()
    updates.ready.subscribe((ready) => (updateReady.value = ready))
  }

  /** It still runs the account. */
  const isCurrent = (mine: Running): boolean => running === mine && mine.isReplaced !== true

  /** Network and session of an account; the phase becomes `ready`. */
  async function begin(mine: Running, session: Session, config: AppConfig): Promise<LiveSession> {
    const { node } = mine.worker
    // What an attempt that failed has left.
    await stopParts(mine)
    if (phase.value.kind === 'starting') phase.value = { kind: 'starting', step: 'Loading encryption' }
    const [{ startNetwork }, { openSession }] = await Promise.all([
      import('./network.ts'),
      import('./session.ts'),
    ])
    const live = await enter(
      {
        node,
        startNetwork: (from) => startNetwork(node, from),
        openSession: (parts) => openSession({ node, ...parts }),
        isCurrent: () => isCurrent(mine),
        own: (part) => Object.assign(mine, part),
      },
      session,
      config,
    )
    phase.value = { kind: 'ready', session: live }
    return live
  }

  const current = (): Running => {
    if (running === undefined) throw new Error('Plexus is open in another tab.')
    return running
  }

  async function signUp(localpart: string, name: string, phrase: string | undefined): Promise<LiveSession> {
    const here = current()
    // Browsers decide by themselves; what they decided is shown in the settings.
    navigator.storage.persist().catch(reportError)
    const session = await here.worker.node.call('signUp', { localpart, phrase, deviceName: DEVICE_NAME })
    const live = await begin(here, session, await loadConfig())
    if (name !== '') live.setName(name).catch(reportError)
    return live
  }

  async function importAccount({ phrase, file, localpart }: ImportRequest): Promise<void> {
    const { node } = current().worker
    const words = await node.call('checkPhrase', phrase)
    if (file === undefined) {
      await signUp(localpart, '', words)
      return
    }
    const { parseExport } = await import('./export.ts')
    const exported = parseExport(await node.call('unseal', { phrase: words, sealed: file }))
    if (exported === undefined) throw new Error('This file is not an export of Plexus.')
    const live = await signUp(exported.userId.slice(1).split(':')[0] ?? '', exported.name, words)
    await live.restore(exported)
  }

  addEventListener('beforeunload', (event) => {
    if (running?.session?.busy() === true) event.preventDefault()
  })

  return {
    phase,
    link: links.state,
    updateReady,
    clockAheadMs: watchClock({ clock, ask: askServer }),
    async start() {
      if (!isSecureContext) {
        phase.value = { kind: 'insecure' }
        return
      }
      const missing = await missingCapabilities()
      if (missing.length > 0) {
        phase.value = { kind: 'unsupported', missing }
        return
      }
      links.readAddress()
      addEventListener('hashchange', () => links.readAddress())
      if ((await acquireWebLock(LOCK, { onLost: lost })) !== undefined) await lead()
      else {
        phase.value = { kind: 'elsewhere', lost: false }
        waitForLock()
      }
    },
    async createAccount(name) {
      await signUp(localpartOf(name), name, undefined)
    },
    importAccount,
    useHere() {
      waiting?.abort()
      // The button is gone at once: a second theft would be from this page itself.
      phase.value = { kind: 'starting', step: 'Taking over' }
      acquireWebLock(LOCK, { steal: true, onLost: lost })
        .then(() => lead())
        .catch((error: unknown) => fail(startProblem(error)))
    },
    readLink: (text) => links.readText(text),
    acceptLink: () =>
      links.accept(async (link, step) => {
        const live = running?.session
        if (live === undefined) throw new Error('There is no account yet.')
        return live.acceptLink(link, step)
      }),
    dismissLink: () => links.dismiss(),
    applyUpdate: () => updates?.apply(),
  }
}

async function stopParts(running: Running): Promise<void> {
  const { network, session } = running
  delete running.network
  delete running.session
  session?.stop()
  await network?.[Symbol.asyncDispose]()
}

/** Deletes the account from this browser. Where that is cut short, the next start of the app goes on with it. */
async function removeHere(): Promise<void> {
  localStorage.setItem(REMOVING, 'yes')
  const { removeAll } = await import('./remove-here.ts')
  await removeAll()
  localStorage.removeItem(REMOVING)
}

/** Fetches what an account needs, while the node starts or the user reads the welcome page. Never rejects. */
async function preload(): Promise<void> {
  try {
    const [{ preloadCrypto }] = await Promise.all([import('./session.ts'), import('./network.ts')])
    await preloadCrypto()
  } catch (error) {
    console.info('plexus: not loaded ahead', error)
  }
}

type Ends = {
  readonly lost: () => void
  readonly replaced: () => void
  readonly fail: (problem: Extract<Phase, { kind: 'failed' }>['problem']) => void
}

function pageApi(running: () => Running | undefined, { lost, replaced, fail }: Ends): PageApi {
  const network = (): Network => {
    const found = running()?.network
    if (found === undefined) throw new Error('the network has not started')
    return found
  }
  return {
    send: async ({ request, timeoutMs }, signal) =>
      network().p2p.carrier.send(request, { signal, timeoutMs }),
    learn: async (addresses) => network().p2p.directory.learn(addresses),
    ownAddresses: async () => network().p2p.directory.own(),
    find: async (name) => network().p2p.directory.find(name),
    findAlias: async (alias) => network().p2p.directory.findAlias(alias),
    findListing: async (name) => network().p2p.directory.findListing(name),
    publish: async (record) => network().p2p.directory.publish(record),
    mailRelays: async () => network().p2p.mailboxes.relays(),
    mailRegister: async ({ relay, registration }) => network().p2p.mailboxes.register(relay, registration),
    mailFetch: async ({ relay, cursor, end }) => network().p2p.mailboxes.fetch(relay, cursor, end),
    mailAcknowledge: async ({ relay, cursor }) => network().p2p.mailboxes.acknowledge(relay, cursor),
    mailDeposit: async ({ mailbox, mail, accessKey }) =>
      network().p2p.mailboxes.deposit(mailbox, mail, accessKey),
    mailStock: async ({ relay, shelf, keys }) => network().p2p.mailboxes.stock(relay, shelf, keys),
    mailAsk: async ({ mailbox, name, question }) => network().p2p.mailboxes.ask(mailbox, name, question),
    delivered: async (delivery) => running()?.session?.delivered(delivery),
    linksChanged: async () => running()?.session?.linksChanged(),
    wanted: async (names) => running()?.network?.setWanted(names),
    replaced: async () => replaced(),
    stopped: async ({ code, message }) => {
      if (code === 'fenced') lost()
      else fail(code === 'full' ? diskFull : stoppedProblem(message))
    },
  }
}
