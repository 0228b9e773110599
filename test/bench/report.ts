/** The results as a table for people and as JSON for comparing. */
import { writeFileSync } from 'node:fs'
import { aimWords, amount, isMet, type Figure } from './figures.ts'
import type { Machine } from './machine.ts'

const COLUMNS = ['', 'n', 'median', 'p95', 'min', 'max', 'unit', 'aim'] as const

function row(each: Figure): readonly string[] {
  const { name, n, median, p95, min, max, unit } = each
  return [name, String(n), amount(median), amount(p95), amount(min), amount(max), unit, aimWords(each)]
}

/** Text columns to the left, numbers to the right. */
export function printTable(figures: readonly Figure[]): void {
  const rows = [COLUMNS, ...figures.map(row)]
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)))
  for (const cells of rows) {
    const padded = cells.map((cell, column) =>
      column === 0 || column >= 6 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    console.log(padded.join('  ').trimEnd())
  }
  const notes = figures.filter(({ note }) => note !== undefined)
  if (notes.length > 0) console.log('')
  for (const { name, note } of notes) console.log(`${name}: ${note}`)
}

export type Results = {
  readonly when: string
  readonly quick: boolean
  readonly machine: Machine
  /** Load averages over one minute, before and after. */
  readonly load: { readonly before: number; readonly after: number }
  /** Sections that could not be measured. */
  readonly failed: readonly string[]
  readonly figures: readonly Figure[]
}

export function writeResults(path: string, results: Results): void {
  const figures = results.figures.map((each) => ({
    ...each,
    aims: each.aims.map((aim) => ({ ...aim, met: isMet(each, aim) })),
  }))
  writeFileSync(path, `${JSON.stringify({ ...results, figures }, undefined, 2)}\n`)
}
