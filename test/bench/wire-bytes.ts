/** What one text message costs on the wire. */
import type { Page } from 'playwright'
import { message, send } from '../kit/app.ts'
import { figure, type Figure } from './figures.ts'

export type Path = 'direct' | 'relayed'

/** Nothing crosses for so long: what was to be sent has been. The end of typing is told a second after a message. */
const QUIET_MS = 1_300
/** Messages of one measurement. */
const GROUP = 4

type Bytes = { readonly payload: number; readonly transport: number }

export async function wireFigures(
  path: Path,
  from: Page,
  to: Page,
  quick: boolean,
): Promise<readonly Figure[]> {
  const groups = quick ? 2 : 5
  await beDiscreet([from, to], true)
  const alone = await measure(path, from, groups)
  await beDiscreet([from, to], false)
  const withNotices = await measure(path, from, groups)
  const counted = path === 'direct' ? 'in WebRTC data channels' : "in WebSocket messages of the sender's page"
  return [
    figure({
      name: `wire: one message and its acknowledgement, ${path}`,
      unit: 'B',
      values: alone.map(({ payload }) => payload),
      note: `both ways, ${counted}; the text has 20 letters`,
    }),
    figure({
      name: `wire: the same with typing notices and read receipt, ${path}`,
      unit: 'B',
      values: withNotices.map(({ payload }) => payload),
      note: `of ${GROUP} in a row, each`,
    }),
    ...(path === 'direct'
      ? [
          figure({
            name: 'wire: one message with DTLS and SCTP, direct',
            unit: 'B',
            values: alone.map(({ transport }) => transport),
            note: 'without headers of UDP and IP',
          }),
        ]
      : []),
  ]
}

async function beDiscreet(pages: readonly Page[], discreet: boolean): Promise<void> {
  for (const page of pages) await page.evaluate((on) => (window.plexusProbe.discreet = on), discreet)
}

/** Bytes for each message of `GROUP`, `groups` times. */
async function measure(path: Path, from: Page, groups: number): Promise<readonly Bytes[]> {
  const measured: Bytes[] = []
  let before = await quiet(path, from)
  for (let group = 0; group < groups; group += 1) {
    for (let index = 0; index < GROUP; index += 1) {
      const text = `twenty letters ${newNumber()}`
      await send(from, text)
      await message(from, text).and(from.locator('[data-delivery="delivered"]')).waitFor()
    }
    const after = await quiet(path, from)
    measured.push({
      payload: (after.payload - before.payload) / GROUP,
      transport: (after.transport - before.transport) / GROUP,
    })
    before = after
  }
  return measured
}

let lastNumber = 10_000
const newNumber = (): number => (lastNumber += 1)

/** What has crossed so far, when nothing does any more. */
async function quiet(path: Path, page: Page): Promise<Bytes> {
  let last = await bytesNow(path, page)
  let since = performance.now()
  while (performance.now() - since < QUIET_MS) {
    const next = await bytesNow(path, page)
    if (next.payload !== last.payload) since = performance.now()
    last = next
  }
  return last
}

function bytesNow(path: Path, page: Page): Promise<Bytes> {
  return path === 'direct' ? page.evaluate(channelBytes) : page.evaluate(socketBytes)
}

function socketBytes(): Bytes {
  const { sent, received } = window.plexusProbe.sockets
  return { payload: sent + received, transport: 0 }
}

async function channelBytes(): Promise<Bytes> {
  let [payload, transport] = [0, 0]
  for (const peer of window.plexusProbe.peers) {
    if (peer.connectionState !== 'connected') continue
    const stats: ReadonlyMap<string, unknown> = new Map(await peer.getStats())
    for (const each of stats.values()) {
      const {
        type,
        bytesSent = 0,
        bytesReceived = 0,
      } = each as RTCStats & {
        readonly bytesSent?: number
        readonly bytesReceived?: number
      }
      if (type === 'data-channel') payload += bytesSent + bytesReceived
      if (type === 'transport') transport += bytesSent + bytesReceived
    }
  }
  return { payload, transport }
}
