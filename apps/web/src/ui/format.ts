/** Words and numbers for people, in the browser's language where that is free. */

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'long' })
const dayAndMonth = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' })
const fullDate = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' })
const shortDate = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' })

/** Farthest a date can be from 1970; a timestamp from others may be any number. ECMA-262 "Time Values" */
const MAX_TIME = 8.64e15

/** A timestamp from outside, brought into the range that a Date can hold. */
export function saneTime(time: number): number {
  return Number.isFinite(time) ? Math.min(Math.max(time, 0), MAX_TIME) : 0
}

export function timeOfDay(time: number): string {
  return clock.format(saneTime(time))
}

export function fullTime(time: number): string {
  return full.format(saneTime(time))
}

/** Start of the local day, which tells days apart. */
export function dayOf(time: number): number {
  return new Date(saneTime(time)).setHours(0, 0, 0, 0)
}

/** `Today`, `Yesterday`, a weekday within the last week, else the date. */
export function dayName(time: number, now: number): string {
  const days = Math.round((dayOf(now) - dayOf(time)) / DAY)
  if (days === 0) return 'Today'
  if (days === 1) return 'Yesterday'
  if (days > 1 && days < 7) return weekday.format(saneTime(time))
  const sameYear = new Date(saneTime(time)).getFullYear() === new Date(now).getFullYear()
  return (sameYear ? dayAndMonth : fullDate).format(saneTime(time))
}

/** For the room list: the time today, else the shortest name of the day. */
export function shortTime(time: number, now: number): string {
  const days = Math.round((dayOf(now) - dayOf(time)) / DAY)
  if (days === 0) return timeOfDay(time)
  if (days === 1) return 'Yesterday'
  return shortDate.format(saneTime(time))
}

/** `just now`, `5 min`, `3 h`, `2 d`. */
export function duration(ms: number): string {
  if (ms < MINUTE) return 'just now'
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h`
  return `${Math.floor(ms / DAY)} d`
}

/** For a sentence: `5 minutes`, `1 hour`, `2 days`. */
export function roughly(ms: number): string {
  const [unit, name] =
    ms < HOUR ? ([MINUTE, 'minute'] as const) : ms < DAY ? ([HOUR, 'hour'] as const) : ([DAY, 'day'] as const)
  const count = Math.round(ms / unit)
  return `${count} ${name}${count === 1 ? '' : 's'}`
}

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'] as const

export function byteSize(bytes: number): string {
  let value = Math.max(0, bytes)
  let unit = 0
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000
    unit += 1
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1
  return `${value.toFixed(digits)} ${UNITS[unit] ?? ''}`
}

/** `Ada`, `Ada and Bo`, `Ada, Bo and 3 others`. */
export function listNames(names: readonly string[], most = 2): string {
  if (names.length === 0) return ''
  if (names.length > most + 1) {
    return `${names.slice(0, most).join(', ')} and ${names.length - most} others`
  }
  const head = names.slice(0, -1).join(', ')
  const last = names.at(-1) ?? ''
  return head === '' ? last : `${head} and ${last}`
}

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** The letter that stands for a name, `?` for none. */
export function initialOf(name: string): string {
  const trimmed = name.replace(/^[@!#\s]+/u, '')
  for (const { segment } of segmenter.segment(trimmed.slice(0, 32))) return segment.toLocaleUpperCase()
  return '?'
}

/** A number from 0 to 359 that is always the same for the same text. */
export function hueOf(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i += 1) hash = (hash * 31 + text.charCodeAt(i)) % 360_360
  return hash % 360
}

/** A long name made readable: its start and its end. */
export function shortenId(id: string, keep = 6): string {
  return id.length <= keep * 2 + 1 ? id : `${id.slice(0, keep)}…${id.slice(-keep)}`
}
