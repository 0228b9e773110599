/** What the sections about the app need: a relay that serves it, and browsers with profiles of their own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright'
import { launchOptions } from '../../scripts/chromium.ts'
import { accept, inviteLink, makeRoom, openApp, openBrowser, signUp } from '../kit/app.ts'
import { startRelay } from '../kit/relay-process.ts'
import { probe } from './probe.ts'

export type Person = { readonly context: BrowserContext; readonly page: Page }

/** Everything that is opened here ends with it. */
export interface Stage extends AsyncDisposable {
  /** Where the app is served. */
  readonly address: string
  /** A browser process with a profile in which nothing is stored yet. */
  freshBrowser(options?: { readonly serviceWorkers?: 'allow' | 'block' }): Promise<BrowserContext>
}

export async function createStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'plexus-bench-'))
  const relay = await startRelay({ data: join(folder, 'relay') })
  const open = new Set<BrowserContext>()
  let profiles = 0
  return {
    address: relay.address,
    async freshBrowser({ serviceWorkers = 'allow' } = {}) {
      profiles += 1
      const profile = join(folder, `profile-${profiles}`)
      const context =
        serviceWorkers === 'allow'
          ? await openBrowser({ profile })
          : await chromium.launchPersistentContext(profile, { ...launchOptions(), serviceWorkers })
      open.add(context)
      context.once('close', () => open.delete(context))
      return context
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...open].map((context) => context.close()))
      await relay.stop()
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

export const ROOM = 'Benchmark'

/** Two people, each in a browser process of their own, who look at a room that they share. */
export async function twoPeople(stage: Stage): Promise<readonly [Person, Person]> {
  const join = async (name: string): Promise<Person> => {
    const context = await stage.freshBrowser()
    await context.addInitScript(probe)
    const { page } = await openApp(context, stage.address)
    await signUp(page, name)
    return { context, page }
  }
  const [ada, ben] = await Promise.all([join('ada'), join('ben')])
  await makeRoom(ada.page, ROOM)
  await ben.page.goto(await inviteLink(ada.page))
  await accept(ben.page)
  return [ada, ben]
}
