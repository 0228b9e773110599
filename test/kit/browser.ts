import { type Browser, chromium, type Page } from 'playwright'
import { launchOptions } from '../../scripts/chromium.ts'

/** The installed browser, headless. Each `newContext()` of it is another person: nothing stored is shared. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ headless: true, ...launchOptions() })
}

const POLICY = 'broken policy: '

/** Collects what goes wrong in a page: errors that nobody caught, and what its own policy forbade. Before `goto`. */
export async function watchFaults(page: Page): Promise<readonly string[]> {
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(`uncaught: ${error.message}`))
  page.on('console', (message) => {
    if (message.text().startsWith(POLICY)) faults.push(message.text())
  })
  await page.addInitScript((prefix) => {
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error(`${prefix}${event.effectiveDirective} ${event.blockedURI}`)
    })
  }, POLICY)
  return faults
}
