/**
 * What one text message costs on the wire. One cannot type without a typing notice, so those are measured by
 * themselves and taken off; a message that the other side does not look at has no read receipt.
 */
import type { Page } from 'playwright'
import { connectionWords, message, messageBox, send } from '../kit/app.ts'
import { figure, type Figure } from './figures.ts'

export type Path = 'direct' | 'relayed'

/** Nothing crosses for so long: what was to be sent has been. */
const QUIET_MS = 150
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
  const typing = await measure(path, from, groups, () => typeAndClear(from, to))
  const read = await measure(path, from, groups, (text) => sendAndRead(from, text))
  // On the screen of the connection nothing is read.
  await connectionWords(to).click()
  await to.getByRole('table').first().waitFor()
  const unread = await measure(path, from, groups, (text) => sendAndDeliver(from, text))
  await to.goBack()
  await messageBox(to).waitFor()

  const less = (one: readonly Bytes[], other: readonly Bytes[], kind: keyof Bytes): number[] => {
    const off = other.reduce((sum, bytes) => sum + bytes[kind], 0) / other.length
    return one.map((bytes) => Math.max(0, bytes[kind] - off))
  }
  const counted = path === 'direct' ? 'in WebRTC data channels' : "in WebSocket messages of the sender's page"
  return [
    figure({
      name: `wire: one message and its acknowledgement, ${path}`,
      unit: 'B',
      values: less(unread, typing, 'payload'),
      note: `both ways, ${counted}; the text has 20 letters`,
    }),
    figure({ name: `wire: its read receipt, ${path}`, unit: 'B', values: less(read, unread, 'payload') }),
    figure({
      name: `wire: typing begins and ends, ${path}`,
      unit: 'B',
      values: typing.map(({ payload }) => payload),
    }),
    ...(path === 'direct'
      ? [
          figure({
            name: 'wire: one message with DTLS and SCTP, direct',
            unit: 'B',
            values: less(unread, typing, 'transport'),
            note: 'without headers of UDP and IP',
          }),
        ]
      : []),
  ]
}

/** Bytes for each of `GROUP` doings, `groups` times. */
async function measure(
  path: Path,
  page: Page,
  groups: number,
  act: (text: string) => Promise<void>,
): Promise<readonly Bytes[]> {
  const measured: Bytes[] = []
  let before = await quiet(path, page)
  for (let group = 0; group < groups; group += 1) {
    for (let index = 0; index < GROUP; index += 1) await act(`twenty letters ${newNumber()}`)
    const after = await quiet(path, page)
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

async function typeAndClear(from: Page, to: Page): Promise<void> {
  const notice = to.getByText(/ is typing$/)
  await messageBox(from).fill('twenty letters 00000')
  await notice.waitFor()
  await messageBox(from).fill('')
  await notice.waitFor({ state: 'detached' })
}

async function sendAndRead(from: Page, text: string): Promise<void> {
  await send(from, text)
  await message(from, text).getByText('read by').waitFor()
}

async function sendAndDeliver(from: Page, text: string): Promise<void> {
  await send(from, text)
  await message(from, text).and(from.locator('[data-delivery="delivered"]')).waitFor()
}

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
