/** Glob matching in linear space and bounded time. spec: appendices.md "Glob-style matching" */

/** Longest text that a pattern is tried on, in UTF-16 code units; the rest of it is not looked at. */
export const MAX_GLOB_TEXT = 10_000

/** True when the whole text matches: `*` is any run of characters, `?` exactly one. Case is not looked at. */
export function matchesGlob(pattern: string, text: string): boolean {
  const wanted = pattern.toLowerCase()
  const found = text.slice(0, MAX_GLOB_TEXT).toLowerCase()
  let p = 0
  let t = 0
  let star = -1
  let starred = 0
  // On a mismatch only the last star is widened, so the work is at most the product of the two lengths.
  while (t < found.length) {
    if (wanted[p] === '*') {
      star = p
      starred = t
      p += 1
    } else if (p < wanted.length && (wanted[p] === '?' || wanted[p] === found[t])) {
      p += 1
      t += 1
    } else if (star >= 0) {
      p = star + 1
      starred += 1
      t = starred
    } else return false
  }
  while (wanted[p] === '*') p += 1
  return p === wanted.length
}

const WORD = /[a-z0-9_]/

/** True when a substring that starts and ends at word boundaries matches. spec: push.md "Conditions" */
export function matchesGlobWord(pattern: string, text: string): boolean {
  const wanted = pattern.toLowerCase()
  const found = text.slice(0, MAX_GLOB_TEXT).toLowerCase()
  const isWord = (index: number): boolean => WORD.test(found[index] ?? '')
  // All ways through the pattern are followed at once, and at each boundary one more begins.
  let states = new Set<number>()
  for (let index = 0; index <= found.length; index += 1) {
    if (!isWord(index - 1) || !isWord(index)) {
      states = closure(wanted, states.add(0))
      if (states.has(wanted.length)) return true
    }
    const next = new Set<number>()
    for (const state of states) {
      const unit = wanted[state]
      if (unit === '*') next.add(state)
      else if (unit === '?' || (unit !== undefined && unit === found[index])) next.add(state + 1)
    }
    states = closure(wanted, next)
  }
  return false
}

/** A star may also match nothing. */
function closure(pattern: string, states: Set<number>): Set<number> {
  for (const state of states) if (pattern[state] === '*') states.add(state + 1)
  return states
}
