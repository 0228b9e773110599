import type { BrowserContext, Page } from 'playwright'

type Process = { readonly type: string; readonly id: number; readonly cpuTime: number }

/** The processes of a browser, as `SystemInfo.getProcessInfo` of the DevTools protocol names them. */
async function processes(context: BrowserContext): Promise<readonly Process[]> {
  const session = await context.browser()?.newBrowserCDPSession()
  if (session === undefined) throw new Error('this context has no browser of its own')
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  await session.detach()
  return processInfo
}

const BUSY_MS = 400

/**
 * The process that runs the page and its workers: the browser does not say, so it is the one that is busy when the
 * page is. @throws when it runs one of the others too
 */
export async function rendererOf(page: Page, others: readonly Page[]): Promise<number> {
  const pid = await busiest(page)
  for (const other of others) {
    if ((await busiest(other)) === pid) throw new Error('the browser runs both tabs in one process')
  }
  return pid
}

async function busiest(page: Page): Promise<number> {
  const context = page.context()
  const before = new Map((await processes(context)).map(({ id, cpuTime }) => [id, cpuTime]))
  await page.evaluate((ms) => {
    const end = performance.now() + ms
    while (performance.now() < end);
  }, BUSY_MS)
  const renderers = (await processes(context)).filter(({ type }) => type === 'renderer')
  const spent = ({ id, cpuTime }: Process): number => cpuTime - (before.get(id) ?? 0)
  const [first] = renderers.toSorted((a, b) => spent(b) - spent(a))
  if (first === undefined) throw new Error('the browser has no renderer')
  return first.id
}

/** Kills the whole browser as a power cut or the system's memory killer would; resolves when it is gone. */
export async function killBrowser(context: BrowserContext): Promise<void> {
  const browser = (await processes(context)).find(({ type }) => type === 'browser')
  if (browser === undefined) throw new Error('the browser does not say its process id')
  const closed = new Promise((resolve) => context.once('close', resolve))
  // The browser leads a process group of its own.
  process.kill(-browser.id, 'SIGKILL')
  await closed
}
