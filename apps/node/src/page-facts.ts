/** What an HTML page says about itself. source: https://ogp.me, HTML Standard "Standard metadata names" and "Link types" */
import { setImmediate } from 'node:timers/promises'
import { Parser } from 'htmlparser2'

/** Of the page, in UTF-16 code units; what is behind is not looked at. */
const MAX_HTML_LENGTH: number = 1024 * 1024
/** The node does other things after each piece, of which the worst takes some ten milliseconds. */
const PIECE_LENGTH = 16_384
/** The parser looks through all open elements at each end tag. */
export const MAX_DEPTH = 512
/** Of one property. */
export const MAX_TEXT_LENGTH = 1_000
/** Of the paragraphs that stand in for a description. */
const ENOUGH_TEXT = 300
const MAX_URL_LENGTH = 2_048

/** Properties that are passed on; a client would fetch other ones, such as `og:video`, by itself and show its address there. */
const PROPERTIES: ReadonlySet<string> = new Set([
  'og:title',
  'og:description',
  'og:site_name',
  'og:type',
  'og:url',
  'og:locale',
  'og:image:alt',
])

/** Where a property comes from, best first: names of `meta` elements, then `<name>` of other elements. */
const SOURCES: Readonly<Record<string, readonly string[]>> = {
  'og:title': ['og:title', 'twitter:title', '<title>', '<h1>'],
  'og:description': ['og:description', 'twitter:description', 'description', '<p>'],
}
const PICTURES: readonly string[] = [
  'og:image:secure_url',
  'og:image',
  'og:image:url',
  'twitter:image',
  'twitter:image:src',
  '<link image_src>',
  '<link apple-touch-icon>',
  '<link icon>',
]

/** Elements whose text is of use. */
const TEXTS: ReadonlySet<string> = new Set(['title', 'h1', 'p'])
/** Elements whose text nobody sees. */
const HIDDEN: ReadonlySet<string> = new Set(['script', 'style'])

export type PageFacts = {
  readonly properties: Readonly<Record<string, string>>
  /** As it stands there, relative to `base`. */
  readonly picture?: string
  readonly base?: string
}

/** The first of each name counts. */
type Found = Map<string, string>

export async function factsOf(html: string): Promise<PageFacts> {
  const found = await scan(html.slice(0, MAX_HTML_LENGTH))
  const first = (names: readonly string[]): string | undefined =>
    names.map((name) => found.get(name)).find((value) => value !== undefined)
  const properties = [...PROPERTIES].flatMap((name) => {
    const value = first(SOURCES[name] ?? [name])
    return value === undefined ? [] : [[name, value] as const]
  })
  const picture = first(PICTURES)
  const base = found.get('<base>')
  return {
    properties: Object.fromEntries(properties),
    ...(picture === undefined ? {} : { picture }),
    ...(base === undefined ? {} : { base }),
  }
}

async function scan(html: string): Promise<Found> {
  const found: Found = new Map()
  const add = (name: string, value: string | undefined, maxLength = MAX_TEXT_LENGTH): void => {
    const text = plain(value ?? '').slice(0, maxLength)
    if (text !== '' && !found.has(name)) found.set(name, text.toWellFormed())
  }
  let depth = 0
  let hidden = false
  let reading: { readonly element: string; text: string } | undefined
  const finish = (): void => {
    if (reading !== undefined) add(`<${reading.element}>`, reading.text)
    reading = undefined
  }
  const parser = new Parser({
    onopentag(name, attributes) {
      depth += 1
      hidden = HIDDEN.has(name)
      if (name === 'meta') addMeta(attributes, add)
      else if (name === 'link') addLink(attributes, add)
      else if (name === 'base') add('<base>', attributes['href'], MAX_URL_LENGTH)
      else if (TEXTS.has(name) && !found.has(`<${name}>`)) reading ??= { element: name, text: '' }
    },
    ontext(text) {
      if (!hidden && reading !== undefined && reading.text.length < MAX_TEXT_LENGTH) reading.text += text
    },
    onclosetag(name) {
      depth -= 1
      hidden = false
      // Short paragraphs, such as of a menu or a date, add up.
      const enough = name !== 'p' || (reading?.text.length ?? 0) >= ENOUGH_TEXT
      if (reading?.element === name && enough) finish()
      else if (reading?.element === name) reading.text += ' '
    },
  })
  for (let at = 0; at < html.length && depth <= MAX_DEPTH; at += PIECE_LENGTH) {
    parser.write(html.slice(at, at + PIECE_LENGTH))
    await setImmediate()
  }
  finish()
  return found
}

type Attributes = Readonly<Record<string, string>>
type Add = (name: string, value: string | undefined, maxLength?: number) => void

const META_NAMES: ReadonlySet<string> = new Set([
  ...PROPERTIES,
  ...Object.values(SOURCES).flat(),
  ...PICTURES,
])

function addMeta({ property, name, content }: Attributes, add: Add): void {
  for (const key of [property, name].map((text) => text?.trim().toLowerCase() ?? ''))
    if (!key.startsWith('<') && META_NAMES.has(key))
      add(key, content, PICTURES.includes(key) ? MAX_URL_LENGTH : MAX_TEXT_LENGTH)
}

function addLink({ rel, href }: Attributes, add: Add): void {
  for (const kind of (rel ?? '').toLowerCase().split(/\s+/, 8))
    if (META_NAMES.has(`<link ${kind}>`)) add(`<link ${kind}>`, href, MAX_URL_LENGTH)
}

/** In one line, without what would change how the text around it is shown. */
const plain = (text: string): string =>
  text
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/\p{Cc}|\p{Cf}/gu, '')
    .trim()
