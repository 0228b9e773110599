/** From the click on "Create account" to a usable app whose encryption is ready. */
import type { BrowserContext, Page } from 'playwright'
import { figure } from './figures.ts'
import { probe } from './probe.ts'
import type { Section } from './section.ts'
import { createStage } from './stage.ts'

const AIM = [{ of: 'median', limit: 2_000 }] as const

export const signUpSection: Section = {
  name: 'sign-up',
  async run({ quick, note }) {
    await using stage = await createStage()
    const runs = quick ? 2 : 6
    const [cold, load, warm, again]: [number[], number[], number[], number[]] = [[], [], [], []]
    for (let run = 0; run < runs; run += 1) {
      const context = await stage.freshBrowser()
      await context.addInitScript(probe)
      const first = await createAccount(context, stage.address, false)
      cold.push(first.usable)
      load.push(first.fromStart)
      again.push(await openAgain(context, first.page, stage.address))
      await forgetAccount(context, stage.address)
      warm.push((await createAccount(context, stage.address, true)).usable)
      await context.close()
      note(`${run + 1} of ${runs}`)
    }
    return [
      figure({
        name: 'sign-up to usable, cold',
        unit: 'ms',
        values: cold,
        aims: AIM,
        note: 'fresh profile; the button is clicked the moment it is there, nothing was loaded ahead',
      }),
      figure({
        name: 'opening the page to usable, cold',
        unit: 'ms',
        values: load,
        note: 'the same, from the navigation on',
      }),
      figure({
        name: 'sign-up to usable, warm',
        unit: 'ms',
        values: warm,
        aims: AIM,
        note: 'the app is installed, the page has loaded what it loads ahead; the account is new',
      }),
      figure({
        name: 'opening the page again to usable',
        unit: 'ms',
        values: again,
        note: 'with its account, installed, from the navigation on',
      }),
    ]
  },
}

type SignUp = { readonly page: Page; readonly usable: number; readonly fromStart: number }

/** `ahead`: clicks only after the welcome page has fetched and compiled the crypto module. */
async function createAccount(context: BrowserContext, address: string, ahead: boolean): Promise<SignUp> {
  const page = await context.newPage()
  const wasm = ahead
    ? page
        .waitForResponse((response) => response.url().endsWith('.wasm'))
        .then((response) => response.finished())
    : undefined
  await page.goto(address, { waitUntil: 'commit' })
  const button = page.getByRole('button', { name: 'Create account' })
  await button.waitFor()
  await wasm
  await button.click()
  await page.waitForFunction(() => window.plexusProbe.usable > 0)
  const { created, usable } = await page.evaluate(() => window.plexusProbe)
  return { page, usable: usable - created, fromStart: usable }
}

/** From the navigation to the room list of an account that there is. */
async function openAgain(context: BrowserContext, page: Page, address: string): Promise<number> {
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready
  })
  await page.close()
  const again = await context.newPage()
  await again.goto(address, { waitUntil: 'commit' })
  await again.getByRole('button', { name: 'New room' }).waitFor()
  const usable = await again.evaluate(() => performance.now())
  await again.close()
  return usable
}

/** Deletes what the app stored but not the app. */
async function forgetAccount(context: BrowserContext, address: string): Promise<void> {
  const page = await context.newPage()
  const session = await context.newCDPSession(page)
  const { origin } = new URL(address)
  await session.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb,file_systems' })
  await page.close()
}
