/** Whether the tests hold the core, by what became of its mutants. */

/** Per cent of the mutants that tests must kill. */
export const LEAST_SCORE = 95

/** A mutant that no test can or need kill. `line` is the changed line as it stands, without its indentation. */
export type Survivor = {
  readonly file: string
  readonly line: string
  readonly mutator: string
  readonly replacement: string
  readonly why: string
}

/** `original` is what was changed. */
export type Mutant = Omit<Survivor, 'why'> & { readonly original: string; readonly status: string }

export type Judgement = { readonly failed: boolean; readonly text: string }

/** Stopped by its time limit counts as killed; what does not compile or cannot run is no mutant. */
const KILLED = new Set(['Killed', 'Timeout'])
const ALIVE = new Set(['Survived', 'NoCoverage'])

const keyOf = ({ file, line, mutator, replacement }: Omit<Survivor, 'why'>): string =>
  JSON.stringify({ file, line, mutator, replacement })

/** A sentence for people, as the reason of a refusal: no key, type or value of the protocol has a space. */
const isSentence = ({ mutator, original }: Mutant): boolean =>
  mutator === 'StringLiteral' && original.includes(' ')

function percent(killed: number, all: number): number {
  return all === 0 ? 100 : (100 * killed) / all
}

function scores(mutants: readonly Mutant[]): readonly string[] {
  const files = [...new Set(mutants.map(({ file }) => file))].toSorted()
  return files.map((file) => {
    const own = mutants.filter((mutant) => mutant.file === file)
    const killed = own.filter(({ status }) => KILLED.has(status)).length
    return `${percent(killed, own.length).toFixed(1).padStart(5)} %  ${String(killed).padStart(4)} of ${String(own.length).padStart(4)}  ${file}`
  })
}

/** @param whole all files were mutated, so that a listed survivor that is not among them is out of date */
export function judge(results: readonly Mutant[], listed: readonly Survivor[], whole: boolean): Judgement {
  const mutants = results
    .filter(({ status }) => KILLED.has(status) || ALIVE.has(status))
    .filter((mutant) => !isSentence(mutant))
  const alive = mutants.filter(({ status }) => ALIVE.has(status))
  const score = percent(mutants.length - alive.length, mutants.length)
  const reasons = new Map(listed.map((survivor) => [keyOf(survivor), survivor.why]))
  const living = new Set(alive.map(keyOf))
  const unlisted = alive.filter((mutant) => !reasons.has(keyOf(mutant)))
  const stale = whole ? listed.filter((survivor) => !living.has(keyOf(survivor))) : []
  const text = [
    ...scores(mutants),
    ...unlisted.map((mutant) => `${mutant.status}, not listed: ${keyOf(mutant)}`),
    ...stale.map((survivor) => `listed, but killed: ${keyOf(survivor)}`),
    `${mutants.length} mutants, ${alive.length} survived, ${score.toFixed(1)} % killed (at least ${LEAST_SCORE} %)`,
  ].join('\n')
  return { failed: score < LEAST_SCORE || unlisted.length > 0 || stale.length > 0, text }
}
