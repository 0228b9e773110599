import { existsSync } from 'node:fs'

const PLACES: readonly string[] = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]

/** The browser for the tests: what the environment variable CHROME names, else an installed Chromium or Chrome. */
export function findChromium(): string | undefined {
  const named = process.env['CHROME']
  const places = named === undefined || named === '' ? PLACES : [named]
  return places.find((path) => existsSync(path))
}

/** One line for somebody who has no browser. */
export function howToGetChromium(): string {
  const named = process.env['CHROME']
  return named === undefined || named === ''
    ? 'no Chromium or Chrome found: install one (Debian: apt-get install chromium) or name it with CHROME=/path/to/it'
    : `there is no browser at CHROME=${named}`
}

/** Launch options for Playwright. Tests load only pages of this repository, and a container's root has no sandbox. */
export function launchOptions(): { executablePath?: string; args: string[] } {
  const executablePath = findChromium()
  return { ...(executablePath === undefined ? {} : { executablePath }), args: ['--no-sandbox'] }
}
