/** A page for operators: each figure as it is, and how it went in the last day. It needs no scripts and loads nothing. */
import type { Clock } from '@plexus/engine/ports'
import type { Figure } from './operator.ts'

/** Milliseconds between two points of a plot. */
export const SAMPLE_MS = 60_000
/** Points that are kept: a day. */
export const MAX_SAMPLES = 1_440
/** Size of a plot in the units of its picture, and points that are drawn of it. */
const WIDTH = 480
const HEIGHT = 64
const MAX_DRAWN = 240

export type FiguresPage = {
  /** HTML. */
  readonly render: () => Promise<string>
} & Disposable

type Sample = { readonly at: number; readonly values: readonly number[] }

export type FiguresPageInit = {
  readonly clock: Clock
  /** The process, as the title says it. */
  readonly title: string
  readonly figures: readonly Figure[]
}

/** Reads the figures from here on, once a minute. */
export function createFiguresPage({ clock, title, figures }: FiguresPageInit): FiguresPage {
  let samples: Sample[] = []
  let cancel: (() => void) | undefined
  let closed = false

  const read = (): Promise<number[]> => Promise.all(figures.map(async (figure) => figure.read()))

  async function sample(): Promise<void> {
    // A store that fails leaves a gap in the plots; that it fails is for `/ready` to say.
    const values = await read().catch(() => undefined)
    if (values !== undefined) samples = [...samples, { at: clock.now(), values }].slice(-MAX_SAMPLES)
    if (!closed) cancel = clock.after(SAMPLE_MS, () => void sample())
  }

  void sample()

  return {
    async render() {
      const now = await read()
      const rows = figures.map(({ help }, index) => {
        const points = samples.map(({ at, values }) => ({ at, value: values[index] ?? 0 }))
        return section(help, now[index] ?? 0, points)
      })
      return page(title, rows.join('\n'))
    },
    [Symbol.dispose]() {
      closed = true
      cancel?.()
    },
  }
}

type Point = { readonly at: number; readonly value: number }

function section(help: string, now: number, points: readonly Point[]): string {
  const values = points.map(({ value }) => value)
  const top = Math.max(0, ...values)
  const range = values.length === 0 ? '' : `, from ${text(Math.min(...values))} to ${text(top)} in the plot`
  return `<section><h2>${escaped(help)}</h2><p>${text(now)}</p>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(help)}: now ${text(now)}${range}" preserveAspectRatio="none">
<polyline points="${polyline(points, top)}"/></svg></section>`
}

/** The points from left (the first) to right (the last), from 0 at the bottom to `top`. */
function polyline(points: readonly Point[], top: number): string {
  const step = Math.ceil(points.length / MAX_DRAWN)
  const drawn = points.filter((_, index) => (points.length - 1 - index) % step === 0)
  const first = drawn[0]?.at ?? 0
  const span = Math.max(1, (drawn.at(-1)?.at ?? 0) - first)
  return drawn
    .map(({ at, value }) => {
      const x = ((at - first) / span) * WIDTH
      const y = HEIGHT - 1 - (value / Math.max(1, top)) * (HEIGHT - 2)
      return `${x.toFixed(1)},${y.toFixed(1)}`
    })
    .join(' ')
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="${SAMPLE_MS / 1_000}">
<title>${escaped(title)}</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 1.5rem auto; max-width: 72rem; padding: 0 1rem }
main { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)) }
h1 { font-size: 1.25rem }
h2 { font-size: 1rem; font-weight: normal; margin: 0 }
p { font-size: 1.5rem; font-variant-numeric: tabular-nums; margin: 0 }
svg { border-bottom: 1px solid GrayText; height: 4rem; width: 100% }
polyline { fill: none; stroke: LinkText; stroke-width: 1.5; vector-effect: non-scaling-stroke }
</style>
</head>
<body>
<h1>${escaped(title)}</h1>
<main>
${body}
</main>
</body>
</html>
`
}

const format = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })

const text = (value: number): string => format.format(value)

function escaped(value: string): string {
  const names: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return value.replaceAll(/[&<>"]/g, (sign) => names[sign] ?? '')
}
