/**
 * Takes a picture of every screen of the demo: `node apps/web/scripts/screenshots.ts [folder] [name…]`.
 * Desktop and phone, light and dark; into `screenshots` in the temporary folder when none is named.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright'
import { createServer } from 'vite'

type Shot = {
  readonly name: string
  readonly scene: string
  readonly hash?: string
  readonly act?: (page: Page) => Promise<void>
}

const click = (name: string) => async (page: Page) =>
  page.getByRole('button', { name, exact: true }).first().click()

const HUT = '#/room/!hut'
const SHOTS: readonly Shot[] = [
  { name: 'insecure', scene: 'insecure' },
  { name: 'unsupported', scene: 'unsupported' },
  { name: 'starting', scene: 'starting' },
  { name: 'elsewhere', scene: 'elsewhere' },
  { name: 'failed', scene: 'failed' },
  { name: 'welcome', scene: 'welcome' },
  { name: 'import', scene: 'welcome', act: click('I have an account: import it') },
  { name: 'paste', scene: 'welcome', act: click('I was given a link') },
  { name: 'landing', scene: 'landing' },
  { name: 'broken', scene: 'broken' },
  { name: 'decision', scene: 'decision' },
  { name: 'joining', scene: 'joining' },
  { name: 'joinfailed', scene: 'joinfailed' },
  { name: 'waiting', scene: 'waiting' },
  { name: 'empty', scene: 'empty' },
  { name: 'list', scene: 'list' },
  { name: 'room', scene: 'room', hash: HUT },
  { name: 'offline', scene: 'offline', hash: HUT },
  { name: 'newroom', scene: 'newroom', hash: HUT },
  {
    name: 'reply',
    scene: 'room',
    hash: HUT,
    act: async (page) => page.getByRole('button', { name: 'Reply' }).last().click({ force: true }),
  },
  {
    name: 'members',
    scene: 'room',
    hash: HUT,
    act: async (page) => page.getByRole('button', { name: /members/ }).click(),
  },
  {
    name: 'invite',
    scene: 'room',
    hash: HUT,
    act: async (page) => {
      await click('Invite')(page)
      await page.getByLabel('Invite link').waitFor()
    },
  },
  { name: 'new-room-dialog', scene: 'list', act: click('New room') },
  {
    name: 'phrase',
    scene: 'empty',
    hash: '#/settings',
    act: async (page) => {
      await click('Show phrase')(page)
      await page.getByText('winner').first().waitFor()
    },
  },
  { name: 'connection', scene: 'room', hash: '#/connection' },
  { name: 'connecting', scene: 'connecting', hash: '#/connection' },
  { name: 'relaylost', scene: 'relaylost', hash: '#/connection' },
  { name: 'settings', scene: 'room', hash: '#/settings' },
  { name: 'noroom', scene: 'room', hash: '#/room/!gone' },
]

const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } } as const

const [folder = join(tmpdir(), 'plexus-screenshots'), ...names] = process.argv.slice(2)
mkdirSync(folder, { recursive: true })
const chosen = names.length === 0 ? SHOTS : SHOTS.filter((shot) => names.includes(shot.name))

const server = await createServer({
  configFile: fileURLToPath(new URL('../demo/vite.config.ts', import.meta.url)),
  logLevel: 'error',
  server: { port: 0, host: '127.0.0.1' },
})
await server.listen()
const base = server.resolvedUrls?.local[0]
if (base === undefined) throw new Error('the demo server has no address')

const executablePath = [process.env['CHROME'], '/usr/bin/chromium'].find(
  (path) => path !== undefined && existsSync(path),
)
const browser = await chromium.launch({
  args: ['--no-sandbox'],
  ...(executablePath === undefined ? {} : { executablePath }),
})
try {
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ['light', 'dark'] as const) {
      const context = await browser.newContext({
        viewport,
        colorScheme,
        hasTouch: size === 'phone',
        reducedMotion: 'reduce',
      })
      const page = await context.newPage()
      page.on('pageerror', (error) => console.error(`page error: ${error.message}`))
      for (const shot of chosen) {
        await page.goto(`${base}?scene=${shot.scene}&shot=${shot.name}${shot.hash ?? ''}`)
        await page.locator('main').first().waitFor({ state: 'attached' })
        await shot.act?.(page)
        await page.waitForFunction(
          () => document.fonts.status === 'loaded' && [...document.images].every((image) => image.complete),
        )
        await page.screenshot({ path: join(folder, `${shot.name}-${size}-${colorScheme}.png`) })
      }
      await context.close()
    }
  }
} finally {
  await browser.close()
  await server.close()
}
console.log(folder)
