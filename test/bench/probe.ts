/** Runs in the pages of the app before it: notes when things happen, and counts what crosses the network. */

/** Times are milliseconds of `performance.now()`. */
export type Probe = {
  /** When the click on "Create account" happened, and when the room list was on the screen after it. */
  created: number
  usable: number
  /** When Enter was pressed last. */
  enter: number
  /** Resolves when the newest message has this text: when it was there, and when a frame with it was painted. */
  shown(text: string): Promise<{ readonly inserted: number; readonly painted: number }>
  /** Bytes of all WebSocket messages, both ways. */
  readonly sockets: { sent: number; received: number }
  readonly peers: RTCPeerConnection[]
  /** While true the page says nothing of typing and reading: its node never hears of it. */
  discreet: boolean
}

declare global {
  interface Window {
    plexusProbe: Probe
  }
}

/** For `addInitScript`: refers to nothing outside of itself. */
export function probe(): void {
  const sockets = { sent: 0, received: 0 }
  const peers: RTCPeerConnection[] = []

  const painted = (): Promise<number> =>
    new Promise((resolve) => {
      requestAnimationFrame(() => {
        // A message is handled after the frame that is being made.
        const { port1, port2 } = new MessageChannel()
        port2.addEventListener('message', () => resolve(performance.now()), { once: true })
        port2.start()
        port1.postMessage(null)
      })
    })
  const appears = (found: () => boolean): Promise<number> =>
    new Promise((resolve) => {
      if (found()) {
        resolve(performance.now())
        return
      }
      const observer = new MutationObserver(() => {
        if (!found()) return
        observer.disconnect()
        resolve(performance.now())
      })
      observer.observe(document, { childList: true, subtree: true, characterData: true })
    })

  const articles = document.getElementsByTagName('article')
  const newest = (): Element | null => articles.item(articles.length - 1)

  const marks: Probe = {
    created: Number.NaN,
    usable: Number.NaN,
    enter: Number.NaN,
    sockets,
    peers,
    discreet: false,
    async shown(text) {
      const inserted = await appears(() => newest()?.querySelector('.text')?.textContent === text)
      return { inserted, painted: await painted() }
    },
  }
  window.plexusProbe = marks

  const nameOf = (element: Element): string =>
    element.getAttribute('aria-label') ?? element.textContent.trim()
  const button = (name: string): boolean =>
    [...document.querySelectorAll('button')].some((each) => nameOf(each) === name)
  addEventListener(
    'click',
    ({ target, timeStamp }) => {
      const pressed = target instanceof Element ? target.closest('button') : null
      if (pressed === null || nameOf(pressed) !== 'Create account') return
      marks.created = timeStamp
      void appears(() => button('New room') && document.querySelector('nav[aria-label="Rooms"]') !== null)
        .then(painted)
        .then((at) => (marks.usable = at))
    },
    { capture: true },
  )
  addEventListener(
    'keydown',
    ({ key, timeStamp }) => {
      if (key === 'Enter') marks.enter = timeStamp
    },
    { capture: true },
  )

  const sizeOf = (data: unknown): number => {
    if (typeof data === 'string') return data.length
    if (data instanceof Blob) return data.size
    return data instanceof ArrayBuffer || ArrayBuffer.isView(data) ? data.byteLength : 0
  }
  const NativeSocket = WebSocket
  window.WebSocket = class extends NativeSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols)
      this.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
        sockets.received += sizeOf(data)
      })
    }

    override send(data: string | BufferSource | Blob): void {
      sockets.sent += sizeOf(data)
      super.send(data)
    }
  }
  // The app's calls to its worker, see apps/web/src/bridge.
  type Call = { readonly kind: string; readonly id: number; readonly argument?: { readonly path?: unknown } }
  const NativeWorker = Worker
  window.Worker = class extends NativeWorker {
    override postMessage(message: Call, options?: Transferable[] | StructuredSerializeOptions): void {
      const path = message.kind === 'call' ? message.argument?.path : undefined
      if (!marks.discreet || typeof path !== 'string' || !/\/(?:typing|receipt|read_markers)\b/.test(path)) {
        super.postMessage(message, options as StructuredSerializeOptions)
        return
      }
      const value = {
        status: 200,
        headers: [['content-type', 'application/json']],
        body: new TextEncoder().encode('{}'),
      }
      const data = { kind: 'answer', id: message.id, value }
      queueMicrotask(() => this.dispatchEvent(new MessageEvent('message', { data })))
    }
  }
  const NativePeer = window.RTCPeerConnection
  window.RTCPeerConnection = class extends NativePeer {
    constructor(configuration?: RTCConfiguration) {
      super(configuration)
      peers.push(this)
    }
  }
}

/** For `addInitScript` after `probe`: connections between browsers fail, so that all goes through the relay. */
export function withoutWebRtc(): void {
  const unavailable = function unavailable(): never {
    throw new DOMException('switched off for the benchmark', 'NotSupportedError')
  }
  window.RTCPeerConnection = unavailable as unknown as typeof RTCPeerConnection
}
