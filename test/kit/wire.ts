/** Sees the bytes that a page hands to WebRTC and gets from it, before DTLS and after: what the other side can read. */
import type { BrowserContext, Page } from 'playwright'

type Recorder = {
  readonly peers: RTCPeerConnection[]
  /** Bytes of all channels in both directions, as Latin-1 text, in the order in which they passed. */
  readonly pieces: string[]
  /** While true, one byte of every large message that leaves is changed, as a hostile node would. */
  tamper: boolean
}

declare global {
  interface Window {
    plexusWire?: Recorder
  }
}

/** Below this a message holds requests and answers; files travel in larger ones. */
const LARGE_MESSAGE_BYTES = 8_192

/** Records what pages of this context exchange. Before the first of them. */
export async function recordWire(context: BrowserContext): Promise<void> {
  await context.addInitScript((large) => {
    const recorder: Recorder = { peers: [], pieces: [], tamper: false }
    window.plexusWire = recorder
    const decoder = new TextDecoder('latin1')
    const keep = (data: ArrayBuffer | ArrayBufferView): void => {
      recorder.pieces.push(decoder.decode(data))
    }
    const changed = (data: ArrayBufferView): Uint8Array<ArrayBuffer> => {
      const bytes = new Uint8Array(data.byteLength)
      bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
      const middle = bytes.length >> 1
      bytes[middle] = (bytes[middle] ?? 0) ^ 1
      return bytes
    }
    const listen = (channel: RTCDataChannel): void => {
      channel.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer>) => keep(data))
      const send: (data: ArrayBufferView<ArrayBuffer>) => void = channel.send.bind(channel)
      channel.send = (data: string | Blob | ArrayBuffer | ArrayBufferView<ArrayBuffer>): void => {
        if (!ArrayBuffer.isView(data)) throw new TypeError('libp2p sends views of buffers')
        keep(data)
        send(recorder.tamper && data.byteLength >= large ? changed(data) : data)
      }
    }

    const Native = RTCPeerConnection
    window.RTCPeerConnection = class extends Native {
      constructor(configuration?: RTCConfiguration) {
        super(configuration)
        recorder.peers.push(this)
        this.addEventListener('datachannel', ({ channel }) => listen(channel))
      }

      override createDataChannel(label: string, init?: RTCDataChannelInit): RTCDataChannel {
        const channel = super.createDataChannel(label, init)
        listen(channel)
        return channel
      }
    }
  }, LARGE_MESSAGE_BYTES)
}

/** All that passed so far since the page was loaded, as Latin-1 text. */
export function wireText(page: Page): Promise<string> {
  return page.evaluate(() => window.plexusWire?.pieces.join('\n') ?? '')
}

/** From here on the page's node sends large messages with an error in them, or no more. */
export async function tamperWithFiles(page: Page, tamper: boolean): Promise<void> {
  await page.evaluate((on) => {
    if (window.plexusWire !== undefined) window.plexusWire.tamper = on
  }, tamper)
}

/** The kinds of the two ends (`host`, `srflx`, `relay`) of each WebRTC connection that stands. */
export function connectedEnds(page: Page): Promise<readonly (readonly [string, string])[]> {
  return page.evaluate(async () => {
    const ends: [string, string][] = []
    const standing = (window.plexusWire?.peers ?? []).filter((peer) => peer.connectionState === 'connected')
    for (const peer of standing) {
      const stats: ReadonlyMap<string, { readonly type: string; readonly [key: string]: unknown }> = new Map(
        await peer.getStats(),
      )
      const transport = [...stats.values()].find(({ type }) => type === 'transport')
      const pair = stats.get(String(transport?.['selectedCandidatePairId']))
      const kindOf = (end: string): string => {
        const kind = stats.get(String(pair?.[end]))?.['candidateType']
        return typeof kind === 'string' ? kind : 'unknown'
      }
      ends.push([kindOf('localCandidateId'), kindOf('remoteCandidateId')])
    }
    return ends
  })
}
