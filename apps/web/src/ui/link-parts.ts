/** Text from others, cut into plain parts and web addresses. */
export type LinkPart = { readonly text: string; readonly href: string | undefined }

/** Addresses beyond this number in one message stay plain text. */
const MAX_LINKS = 50
const ADDRESS = /https?:\/\/[^\s<>"'`]{1,2000}/giu
/** Punctuation that ends a sentence, not an address. */
const TRAILING = /[.,;:!?)\]}…]+$/u

export function linkParts(text: string): readonly LinkPart[] {
  const parts: LinkPart[] = []
  let end = 0
  let links = 0
  for (const match of text.matchAll(ADDRESS)) {
    if (links >= MAX_LINKS) break
    const found = match[0].replace(TRAILING, '')
    const href = safeHref(found)
    if (href === undefined) continue
    if (match.index > end) parts.push({ text: text.slice(end, match.index), href: undefined })
    parts.push({ text: found, href })
    end = match.index + found.length
    links += 1
  }
  if (end < text.length) parts.push({ text: text.slice(end), href: undefined })
  return parts
}

/** Only addresses that say where they lead: http or https, without user and password. */
function safeHref(address: string): string | undefined {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) return undefined
  return url.username === '' && url.password === '' ? url.href : undefined
}
