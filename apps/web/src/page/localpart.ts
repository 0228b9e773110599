/** The first part of a user id, made from the name that somebody typed. */

const MAX_LENGTH = 30
/** For a name of which nothing is left. */
const FALLBACK = 'me'

/** Lower-case letters, digits and dashes. spec: appendices "User Identifiers" */
export function localpartOf(name: string): string {
  const plain = name
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/\p{M}+/gu, '')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, MAX_LENGTH)
    .replaceAll(/^-+|-+$/g, '')
  return plain === '' ? FALLBACK : plain
}
