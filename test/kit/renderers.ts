import { setTimeout } from 'node:timers/promises'
import type { BrowserContext, Page } from 'playwright'

type Process = { readonly type: string; readonly id: number }

/** The processes of a browser, as `SystemInfo.getProcessInfo` of the DevTools protocol names them. */
async function processes(context: BrowserContext): Promise<readonly Process[]> {
  const session = await context.browser()?.newBrowserCDPSession()
  if (session === undefined) throw new Error('this context has no browser of its own')
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  await session.detach()
  return processInfo
}

/** A page that gives no answer for so long while the other processes stand still is taken for one of theirs, for now. */
const ANSWER_MS = 300

/**
 * The process that runs the page and its workers: the browser does not say, so it is the one with which the page answers
 * while all others stand still. @throws when it runs one of the others too
 */
export async function rendererOf(page: Page, others: readonly Page[]): Promise<number> {
  const pid = await answering(page)
  for (const other of others) {
    if ((await answering(other)) === pid) throw new Error('the browser runs both tabs in one process')
  }
  return pid
}

async function answering(page: Page): Promise<number> {
  for (;;) {
    const found = (await processes(page.context())).filter(({ type }) => type === 'renderer')
    for (const { id } of found) {
      const others = found.filter((other) => other.id !== id)
      for (const other of others) process.kill(other.id, 'SIGSTOP')
      const answered = await Promise.race([page.evaluate(() => true), setTimeout(ANSWER_MS, false)])
      for (const other of others) process.kill(other.id, 'SIGCONT')
      if (answered) return id
    }
  }
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
