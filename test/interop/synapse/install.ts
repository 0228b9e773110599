/**
 * Synapse from PyPI, once for each checkout, in a folder that git does not see. Where Python or the package cannot be had
 * what needs it is skipped, and a line says why.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'

const VERSION = '1.163.2'
const FOLDER = fileURLToPath(new URL(`../../../node_modules/.synapse-${VERSION}`, import.meta.url))
const PYTHON = join(FOLDER, 'bin', 'python')
const INSTALL_LIMIT_MS = 300_000

declare module 'vitest' {
  interface ProvidedContext {
    /** The Python that has Synapse; `undefined` when there is none. */
    synapsePython: string | undefined
  }
}

export default function setup(project: TestProject): void {
  project.provide('synapsePython', installSynapse())
}

/** The Python that has it. */
export function installSynapse(): string | undefined {
  const run = (command: string, ...args: string[]): string =>
    execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe', timeout: INSTALL_LIMIT_MS })
  try {
    if (!existsSync(PYTHON)) run('python3', '-m', 'venv', FOLDER)
    // Wheels only: from the sources it would need a Rust compiler.
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary', ':all:']
    if (!run(PYTHON, '-m', 'pip', 'freeze').includes(`matrix-synapse==${VERSION}`))
      run(PYTHON, ...pip, `matrix-synapse==${VERSION}`)
    return PYTHON
  } catch (error) {
    rmSync(FOLDER, { recursive: true, force: true })
    const [line] = (error as Error).message.split('\n')
    process.stderr.write(`What needs Synapse ${VERSION} is skipped, it cannot be installed: ${line}\n`)
    return undefined
  }
}
