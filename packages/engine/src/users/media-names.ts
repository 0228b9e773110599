/** What uploaders say about media is kept only as far as it can go into a header. */

/** In UTF-16 code units. */
export const MAX_FILE_NAME_LENGTH = 255
const MAX_CONTENT_TYPE_LENGTH = 255

// RFC 9110 media type: type "/" subtype and parameters, of tokens and plain quoted strings.
const TOKEN = String.raw`[!#$%&'*+.^_|~0-9A-Za-z-]+`
const CONTENT_TYPE = new RegExp(`^${TOKEN}/${TOKEN}(?:; *${TOKEN}=(?:${TOKEN}|"[ !#-\\[\\]-~]*"))*$`)

/** `undefined` for what is not a media type. */
export function cleanContentType(text: string | undefined): string | undefined {
  const trimmed = text?.trim()
  if (trimmed === undefined || trimmed.length > MAX_CONTENT_TYPE_LENGTH) return undefined
  return CONTENT_TYPE.test(trimmed) ? trimmed : undefined
}

/** The name without folders and control characters, `undefined` when nothing is left. */
export function cleanFileName(text: string | undefined): string | undefined {
  const last = text?.toWellFormed().split(/[/\\]/).at(-1)
  const clean = last?.replaceAll(/\p{Cc}|\p{Cf}/gu, '').trim()
  if (clean === undefined || clean === '' || clean === '.' || clean === '..') return undefined
  return clean.slice(0, MAX_FILE_NAME_LENGTH).toWellFormed()
}
