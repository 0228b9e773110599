import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launchBrowser, watchFaults } from '../kit/browser.ts'
import { type RelayProcess, startRelay } from '../kit/relay-process.ts'

let data = ''
let relay: RelayProcess
let browser: Browser

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'plexus-e2e-'))
  relay = await startRelay({ data })
  browser = await launchBrowser()
})

afterAll(async () => {
  await browser.close()
  await relay.stop()
  rmSync(data, { recursive: true })
})

describe('the app as the relay serves it', () => {
  it('opens within its own policy', async () => {
    const page = await browser.newPage()
    const faults = await watchFaults(page)
    await page.goto(relay.address, { waitUntil: 'load' })
    expect(await page.title()).toContain('Plexus')
    expect(await page.evaluate(() => isSecureContext)).toBe(true)
    expect(faults).toEqual([])
    expect(await page.getByText('clock').count()).toBe(0)
    await page.close()
  })

  it('runs no script that the relay did not serve', async () => {
    const page = await browser.newPage()
    const faults = await watchFaults(page)
    await page.goto(relay.address)
    const inject = page.evaluate(() => {
      const script = document.createElement('script')
      script.textContent = 'document.title = "taken over"'
      document.head.append(script)
    })
    await expect(inject).rejects.toThrow('TrustedScript')
    await page.evaluate(async () => {
      const image = document.createElement('img')
      const refused = new Promise((resolve) => image.addEventListener('error', resolve))
      image.src = 'http://192.0.2.1/x.png'
      document.body.append(image)
      await refused
    })
    await expect.poll(() => faults.filter((fault) => fault.includes('img-src'))).toHaveLength(1)
    expect(await page.title()).not.toContain('taken over')
    await page.close()
  })

  it('tells of a clock that is wrong, for others refuse what comes from such a device', async () => {
    const page = await browser.newPage()
    await page.clock.setFixedTime(Date.now() + 600_000)
    await page.goto(relay.address)
    await page.getByText('clock is 10 minutes ahead').waitFor()
    await page.close()
  })

  it('has one origin on this machine, and keeps the fragment of a link on the way there', async () => {
    const page = await browser.newPage()
    const { port } = new URL(relay.address)
    await page.goto(`http://localhost:${port}/?a#b`)
    expect(page.url()).toBe(`${relay.address}?a#b`)
    await page.close()
  })
})
