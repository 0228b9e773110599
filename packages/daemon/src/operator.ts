/** What an operator sees of a process: whether it lives and can serve, and its figures for Prometheus. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { clock } from './clock.ts'
import { createFiguresPage, type FiguresPage } from './figures-page.ts'
import { createServer, listen } from './listen.ts'

const BYTES_PER_MB = 1_000_000

export type Address = { readonly host: string; readonly port: number }

/** One number, with what it is in words. */
export type Figure = { readonly help: string; readonly read: () => number | Promise<number> }

/** The figures of the process itself, and more: `gauge` adds one that is read when it is asked for. */
export interface Figures {
  readonly registry: Registry
  /** Those that the operator's page shows. */
  readonly shown: readonly Figure[]
  readonly gauge: (name: string, help: string, read: () => number | Promise<number>) => void
}

export function createFigures(): Figures {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const memory = (): number => Math.round(process.memoryUsage.rss() / BYTES_PER_MB)
  const shown: Figure[] = [{ help: 'Memory of the process in MB', read: memory }]
  return {
    registry,
    shown,
    gauge(name, help, read) {
      shown.push({ help, read })
      registry.registerMetric(
        new Gauge({
          name,
          help,
          registers: [],
          async collect() {
            this.set(await read())
          },
        }),
      )
    },
  }
}

export type OperatorInit = {
  /** The process, as the page says it. */
  readonly title: string
  readonly address: Address
  /** The flag that chooses the address, for what is said when that fails. */
  readonly flag: string
  readonly figures: Figures
  /** Why the process cannot serve, `undefined` when it can. */
  readonly problem: () => string | undefined
  /** Further pages of JSON by path. */
  readonly pages?: Readonly<Record<string, () => Promise<unknown>>>
}

export type Listening = AsyncDisposable & { readonly port: number }

/** Nothing here runs scripts, loads anything, or belongs into another page. */
const PROTECTION = {
  'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
} as const

type Answer = { readonly status: number; readonly text: string; readonly type?: string }

/** Serves a page of figures, `/health`, `/ready`, `/metrics` and the pages. @throws StartError */
export async function listenToOperator(init: OperatorInit): Promise<Listening> {
  const page = createFiguresPage({ clock, title: init.title, figures: init.figures.shown })
  const web = createServer((request, response) => {
    answerTo(init, page, request)
      .catch((): Answer => ({ status: 500, text: 'failed\n' }))
      .then((answer) => send(response, answer))
      .catch(() => response.destroy())
  })
  const { host, port } = init.address
  const at = await listen(web.server, { host, port, flags: { host: init.flag, port: init.flag } })
  return {
    port: at,
    [Symbol.asyncDispose]() {
      page[Symbol.dispose]()
      return web[Symbol.asyncDispose]()
    },
  }
}

async function answerTo(
  { figures, problem, pages = {} }: OperatorInit,
  figuresPage: FiguresPage,
  { method, url = '' }: IncomingMessage,
): Promise<Answer> {
  const [path = ''] = url.split('?', 1)
  if (method !== 'GET') return { status: 405, text: 'only GET\n' }
  if (path === '/') return { status: 200, text: await figuresPage.render(), type: 'text/html; charset=utf-8' }
  if (path === '/health') return { status: 200, text: 'ok\n' }
  if (path === '/ready') {
    const why = problem()
    return why === undefined ? { status: 200, text: 'ok\n' } : { status: 503, text: `${why}\n` }
  }
  if (path === '/metrics')
    return { status: 200, text: await figures.registry.metrics(), type: figures.registry.contentType }
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined
  if (page !== undefined)
    return { status: 200, text: JSON.stringify(await page(), undefined, 2), type: 'application/json' }
  return {
    status: 404,
    text: `there is ${['/', '/health', '/ready', '/metrics', ...Object.keys(pages)].join(', ')}\n`,
  }
}

function send(response: ServerResponse, { status, text, type = 'text/plain; charset=utf-8' }: Answer): void {
  response.writeHead(status, {
    ...PROTECTION,
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(text),
  })
  response.end(text)
}

const MAX_PORT = 65_535

/** `127.0.0.1:8010`, `[::1]:8010`, `example.org:8010`; `undefined` for anything else. */
export function parseAddress(text: string): Address | undefined {
  const [, host = '', digits = ''] = /^(\[[0-9a-f:.]+\]|[^:[\]\s]+):(\d{1,5})$/i.exec(text) ?? []
  const port = Number(digits)
  if (host === '' || port > MAX_PORT) return undefined
  return { host: host.replace(/^\[|\]$/g, ''), port }
}
