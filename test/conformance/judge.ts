/** What `go test -json` said, held against the list of tests that passed before. */

/** By name, with the package before top-level tests of one name in two packages: `csapi TestLogin/…`. */
export type Outcomes = ReadonlyMap<string, 'pass' | 'fail' | 'skip'>

export type Judgement = { readonly failed: boolean; readonly text: string }

const ENDS: ReadonlySet<string> = new Set(['pass', 'fail', 'skip'])

/** Lines that are no JSON come from the compiler; they are nobody's result. */
export function readOutcomes(lines: Iterable<string>): Outcomes {
  const outcomes = new Map<string, 'pass' | 'fail' | 'skip'>()
  for (const line of lines) {
    if (!line.startsWith('{')) continue
    const {
      Action,
      Package = '',
      Test,
    } = JSON.parse(line) as { Action: string; Package?: string; Test?: string }
    if (Test !== undefined && ENDS.has(Action))
      outcomes.set(`${Package.split('/').at(-1)} ${Test}`, Action as 'pass')
  }
  return outcomes
}

const isTopLevel = (name: string): boolean => !name.includes('/')

/** Tests without subtests. */
function leavesOf(names: readonly string[]): readonly string[] {
  const parents = new Set(
    names.flatMap((name) => (isTopLevel(name) ? [] : [name.slice(0, name.lastIndexOf('/'))])),
  )
  return names.filter((name) => !parents.has(name))
}

/**
 * @param listed tests that passed before
 * @param whole all tests ran, so that a listed one that did not run fails the run
 */
export function judge(outcomes: Outcomes, listed: readonly string[], whole: boolean): Judgement {
  const names = [...outcomes.keys()].toSorted()
  const passed = (some: readonly string[]): string =>
    `${some.filter((name) => outcomes.get(name) === 'pass').length} of ${some.length}`
  const regressions = listed.filter((name) => {
    const outcome = outcomes.get(name)
    return outcome === undefined ? whole : outcome !== 'pass'
  })
  const known = new Set(listed)
  const leaves = leavesOf(names)
  const text = [
    ...leaves.filter((name) => outcomes.get(name) !== 'pass').map((name) => `${outcomes.get(name)}: ${name}`),
    ...regressions.map((name) => `passed before: ${name}`),
    ...names
      .filter((name) => outcomes.get(name) === 'pass' && !known.has(name))
      .map((name) => `passes, not listed: ${name}`),
    `${passed(names.filter(isTopLevel))} top-level tests pass, ${passed(leaves)} leaves`,
  ].join('\n')
  return { failed: regressions.length > 0 || outcomes.size === 0, text }
}
