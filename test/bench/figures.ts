/** What the benchmark measures, as numbers that can be compared. */

/** `ms`, sizes and factors (`x`) are better small, rates better large. Sizes are decimal: 1 kB is 1,000 bytes. */
export type Unit = 'ms' | '/s' | 'B' | 'kB' | 'MB' | 'x'

/** What is wanted on a quiet two-core machine: at most that, or for a rate at least. */
export type Aim = { readonly of: 'median' | 'p95'; readonly limit: number }

export type Figure = {
  readonly name: string
  readonly unit: Unit
  readonly n: number
  readonly median: number
  /** 95 of 100 are at least as good: of a rate the 5th percentile. */
  readonly p95: number
  readonly min: number
  readonly max: number
  readonly aims: readonly Aim[]
  /** What was counted, where the name cannot say it. */
  readonly note?: string
}

export type FigureInit = {
  readonly name: string
  readonly unit: Unit
  readonly values: readonly number[]
  readonly aims?: readonly Aim[]
  readonly note?: string
}

const isRate = (unit: Unit): boolean => unit === '/s'

/** Nearest rank; of an even number the median is the mean of the two in the middle. */
function quantile(sorted: readonly number[], share: number): number {
  const rank = Math.max(0, Math.ceil(sorted.length * share) - 1)
  const value = sorted[rank] ?? Number.NaN
  if (share !== 0.5 || sorted.length % 2 === 1) return value
  return (value + (sorted[rank + 1] ?? value)) / 2
}

/** @throws when there is nothing to summarise, or something that is no number. */
export function figure({ name, unit, values, aims = [], note }: FigureInit): Figure {
  if (values.length === 0 || !values.every(Number.isFinite)) throw new Error(`${name}: nothing was measured`)
  const sorted = values.toSorted((a, b) => a - b)
  return {
    name,
    unit,
    n: sorted.length,
    median: quantile(sorted, 0.5),
    p95: isRate(unit) ? quantile(sorted, 0.05) : quantile(sorted, 0.95),
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
    aims,
    ...(note === undefined ? {} : { note }),
  }
}

export function isMet({ unit, median, p95 }: Figure, { of, limit }: Aim): boolean {
  const value = of === 'median' ? median : p95
  return isRate(unit) ? value >= limit : value <= limit
}

/** `p50 < 40 ms ok`, empty without an aim. */
export function aimWords(measured: Figure): string {
  return measured.aims
    .map((aim) => {
      const what = aim.of === 'median' ? 'p50' : 'p95'
      const sign = isRate(measured.unit) ? '>=' : '<='
      return `${what} ${sign} ${amount(aim.limit)} ${isMet(measured, aim) ? 'ok' : 'MISSED'}`
    })
    .join(', ')
}

/** Three digits, as many as a noisy machine can mean. */
export function amount(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(3)))
}
