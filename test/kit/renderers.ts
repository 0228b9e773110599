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

/** The process that runs the page: the browser does not say, so it is the one that is busy when the page is. */
export async function rendererOf(page: Page): Promise<number> {
  const context = page.context()
  const before = new Map((await processes(context)).map(({ id, cpuTime }) => [id, cpuTime]))
  await page.evaluate((ms) => {
    const end = performance.now() + ms
    while (performance.now() < end);
  }, BUSY_MS)
  const renderers = (await processes(context)).filter(({ type }) => type === 'renderer')
  const spent = ({ id, cpuTime }: Process): number => cpuTime - (before.get(id) ?? 0)
  const [busiest] = renderers.toSorted((a, b) => spent(b) - spent(a))
  if (busiest === undefined) throw new Error('the browser has no renderer')
  return busiest.id
}

/** Stops the page's process as it stands, with its worker; the answer lets it go on. */
export async function freeze(page: Page, others: readonly Page[]): Promise<() => void> {
  const pid = await rendererOf(page)
  for (const other of others) {
    if ((await rendererOf(other)) === pid) throw new Error('the browser runs both tabs in one process')
  }
  process.kill(pid, 'SIGSTOP')
  return () => process.kill(pid, 'SIGCONT')
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
