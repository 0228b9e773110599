import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { importsOf, sourceFiles, type SourceFile } from './kit/imports.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Who may import what of ours. An entry allows that module and what lies below it. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'packages/core': [],
  'packages/engine': ['@plexus/core'],
  'packages/client-api': ['@plexus/core', '@plexus/engine'],
  'packages/server-api': ['@plexus/core', '@plexus/engine'],
  'packages/store': ['@plexus/core', '@plexus/engine/ports'],
  'packages/p2p': ['@plexus/core', '@plexus/engine/ports'],
  'packages/relay': [
    '@plexus/core',
    '@plexus/engine/ports',
    '@plexus/p2p/kad-parts',
    '@plexus/p2p/wire',
    '@plexus/store/sqlite-checkpoints',
  ],
  'packages/daemon': ['@plexus/core', '@plexus/engine/ports', '@plexus/store'],
  'packages/gateway': ['@plexus/core', '@plexus/engine/ports', '@plexus/p2p/wire'],
}

/** Only apps see adapters. */
const APP_ALLOWED: readonly string[] = Object.keys(ALLOWED).map((folder) =>
  folder.replace('packages', '@plexus'),
)

/** Tests beside the code may stand on a real store: a port alone holds nothing. */
const TEST_ALLOWED: readonly string[] = ['@plexus/store']

/** What code without a platform may take from elsewhere. */
const PURE: Readonly<Record<string, RegExp>> = {
  'packages/core': /^@(?:noble|scure)\//,
  'packages/engine': /^@(?:hpke|noble|scure)\//,
  'packages/p2p/src/wire': /^@(?:noble|scure)\//,
}

/** The globals beyond ECMAScript, alike on every platform, that a package without a platform may declare and use. */
const GLOBALS: Readonly<Record<string, readonly string[]>> = {
  'packages/core': ['TextDecoder', 'TextEncoder'],
  'packages/engine': ['AbortSignal'],
}

/** Handlers that run in a tab and in Node alike. */
const PORTABLE: readonly string[] = ['packages/client-api', 'packages/server-api']

const isTest = (path: string): boolean => /\.(?:test|bench)\.tsx?$/.test(path)

/** `packages/core` of `packages/core/src/ids.ts`. */
const ownerOf = (path: string): string => path.split('/').slice(0, 2).join('/')

const covers = (list: readonly string[], specifier: string): boolean =>
  list.some((entry) => specifier === entry || specifier.startsWith(`${entry}/`))

function allowedFor(path: string): readonly string[] {
  const owner = ownerOf(path)
  const own = owner.startsWith('apps/') ? APP_ALLOWED : (ALLOWED[owner] ?? [])
  return isTest(path) ? [...own, ...TEST_ALLOWED] : own
}

/** The `wire` part of p2p is pure in itself, also when it is a single file. */
const pureFolder = (path: string): string | undefined =>
  Object.keys(PURE).find((folder) => path.startsWith(`${folder}/`) || path === `${folder}.ts`)

/** Why `file` may not import `specifier`, or `undefined` when it may. */
function complaint(path: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) {
    const target = posix.join(posix.dirname(path), specifier.replace(/\?.*$/, ''))
    if (ownerOf(target) !== ownerOf(path)) return 'a relative import leaves its package'
    const pure = pureFolder(path)
    if (pure !== undefined && !isTest(path) && pureFolder(target) !== pure) return `${pure} stands alone`
    return undefined
  }
  if (specifier === '(computed)') return 'the imported module is computed'
  if (specifier.startsWith('@plexus/')) {
    return covers(allowedFor(path), specifier) ? undefined : 'the table of DESIGN section 3 does not allow it'
  }
  if (isTest(path)) return undefined
  const pure = pureFolder(path)
  if (pure !== undefined && !PURE[pure]?.test(specifier))
    return `${pure} has no platform and no such dependency`
  if (PORTABLE.includes(ownerOf(path)) && specifier.startsWith('node:'))
    return 'handlers run in a tab as well'
  return undefined
}

const violations = (files: readonly SourceFile[]): string[] =>
  files.flatMap((file) =>
    importsOf(file).flatMap((specifier) => {
      const why = complaint(file.path, specifier)
      return why === undefined ? [] : [`${file.path} imports ${specifier}: ${why}`]
    }),
  )

const ambientNames = (file: SourceFile): string[] =>
  [
    ...file.text.matchAll(
      /^(?:declare )?(?:interface|class|function|const|let|var|type|namespace|module) (\S+?)\b/gm,
    ),
  ].flatMap(([, name]) => name ?? [])

const folders = (parent: string): string[] =>
  existsSync(join(ROOT, parent))
    ? readdirSync(join(ROOT, parent), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => `${parent}/${entry.name}`)
    : []

const PACKAGES = folders('packages')
const APPS = folders('apps')

type Manifest = { readonly dependencies?: Readonly<Record<string, string>> }
type TsConfig = {
  readonly compilerOptions?: { readonly lib?: readonly string[]; readonly types?: readonly string[] }
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, path), 'utf8'))

describe('architecture', () => {
  it('has a row in the table for every package', () => {
    expect(PACKAGES.filter((folder) => ALLOWED[folder] === undefined)).toEqual([])
    expect(PACKAGES).toContain('packages/core')
  })

  it.each([...PACKAGES, ...APPS])('%s imports what the table allows and no more', (folder) => {
    const files = sourceFiles(ROOT, folder)
    expect(violations(files)).toEqual([])
  })

  it.each([...PACKAGES, ...APPS])('%s declares no dependency that the table forbids', (folder) => {
    if (!existsSync(join(ROOT, folder, 'package.json'))) return
    const { dependencies = {} } = readJson(`${folder}/package.json`) as Manifest
    const owns = folder.startsWith('apps/') ? APP_ALLOWED : (ALLOWED[folder] ?? [])
    // A package is declared whole, though only a part of it may be imported.
    const declarable = new Set(owns.map((entry) => entry.split('/').slice(0, 2).join('/')))
    const ours = Object.keys(dependencies).filter((name) => name.startsWith('@plexus/'))
    expect(ours.filter((name) => !declarable.has(name))).toEqual([])
  })

  it.each(['packages/core', 'packages/engine'])('%s compiles without a platform', (folder) => {
    const base = readJson('tsconfig.base.json') as TsConfig
    const own = readJson(`${folder}/tsconfig.json`) as TsConfig
    const options = { ...base.compilerOptions, ...own.compilerOptions }
    expect(options.lib).toEqual(['ES2024'])
    expect(options.types).toEqual([])
    const files = sourceFiles(ROOT, folder)
    expect(files.filter((file) => /^\/\/\/\s*<reference/m.test(file.text)).map((file) => file.path)).toEqual(
      [],
    )
    const declared = files.filter((file) => file.path.endsWith('.d.ts')).flatMap(ambientNames)
    expect(declared.filter((name) => GLOBALS[folder]?.includes(name) !== true)).toEqual([])
    expect(files.filter((file) => /\bdeclare\s+global\b/.test(file.text)).map((file) => file.path)).toEqual(
      [],
    )
  })
})

/** A test that replaces a module, and would do so for all others of its process. */
const replacesModules = ({ path, text }: SourceFile): boolean =>
  /\.test\.tsx?$/.test(path) && !path.endsWith('.mock.test.ts') && /\bvi\.(?:do)?[mM]ock\(/.test(text)

describe('tests', () => {
  it('replace modules in a process of their own, since others share them', () => {
    const files = ['packages', 'apps', 'test'].flatMap((folder) => sourceFiles(ROOT, folder))
    const mocks = files.filter(({ path }) => path.endsWith('.mock.test.ts'))
    expect(
      mocks.filter(({ path, text }) => !replacesModules({ path: path.replace('.mock', ''), text })),
    ).toEqual([])
    expect(files.filter(replacesModules).map(({ path }) => path)).toEqual([])
  })
})

describe('the architecture test itself', () => {
  const judge = (path: string, text: string): string[] => violations([{ path, text }])

  it.each([
    ['packages/core/src/a.ts', `import { x } from '@plexus/engine'`],
    ['packages/core/src/a.ts', `import type { X } from 'node:fs'`],
    ['packages/core/src/a.ts', `type X = import('@plexus/engine').X`],
    ['packages/core/src/a.ts', `export * from '../../engine/src/index.ts'`],
    ['packages/engine/src/a.ts', `const x = await import('@plexus/store')`],
    ['packages/engine/src/a.ts', 'const x = await import(`@plexus/store`)'],
    ['packages/engine/src/a.ts', `const x = await import('@plexus/' + name)`],
    ['packages/store/src/a.ts', `import { Engine } from '@plexus/engine'`],
    ['packages/p2p/src/a.ts', `import '@plexus/relay'`],
    ['packages/p2p/src/wire/a.ts', `import { createLibp2p } from 'libp2p'`],
    ['packages/p2p/src/wire/a.ts', `import type { Stream } from '@libp2p/interface'`],
    ['packages/p2p/src/wire/a.ts', `import { node } from '../node.ts'`],
    ['packages/relay/src/a.ts', `import { x } from '@plexus/p2p'`],
    ['packages/client-api/src/a.ts', `export { x } from '@plexus/store/memory'`],
    ['packages/server-api/src/a.ts', `import { readFile } from 'node:fs/promises'`],
    ['apps/web/src/a.tsx', `import { x } from '@plexus/relay-app'`],
    ['apps/web/src/a.ts', `new Worker(new URL('../../../packages/engine/src/w.ts', import.meta.url))`],
  ])('finds the fault in %s: %s', (path, text) => {
    expect(judge(path, text)).toHaveLength(1)
  })

  it.each([
    ['packages/engine/src/a.ts', `import { x } from '@plexus/core/names'`],
    ['packages/store/src/a.ts', `import type { Store } from '@plexus/engine/ports'; import 'node:sqlite'`],
    ['packages/relay/src/a.ts', `import { x } from '@plexus/p2p/wire'; import { y } from './y.ts'`],
    ['packages/engine/src/a.test.ts', `import { x } from '@plexus/store/memory'; import 'node:fs'`],
    ['apps/web/src/a.tsx', `import { x } from '@plexus/p2p'; const a = <b />`],
  ])('lets pass %s: %s', (path, text) => {
    expect(judge(path, text)).toEqual([])
  })
})
