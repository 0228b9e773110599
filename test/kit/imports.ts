import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseSync } from 'vite'

/** A source file: its path from the root of the repository, with forward slashes, and its text. */
export type SourceFile = { readonly path: string; readonly text: string }

const SOURCE = /\.(?:ts|tsx|mts)$/
const SKIPPED = new Set(['node_modules', 'dist'])

/** All TypeScript files under `folder`, a path from `root`; none when there is no such folder. */
export function sourceFiles(root: string, folder: string): SourceFile[] {
  const files: SourceFile[] = []
  const visit = (path: string): void => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const child = join(path, entry.name)
      if (entry.isDirectory() && !SKIPPED.has(entry.name) && !entry.name.startsWith('.')) visit(child)
      if (entry.isFile() && SOURCE.test(entry.name)) {
        files.push({ path: relative(root, child).replaceAll('\\', '/'), text: readFileSync(child, 'utf8') })
      }
    }
  }
  visit(join(root, folder))
  return files.toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

type Node = { readonly type?: unknown; readonly [key: string]: unknown }

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null

/** The string of a literal or of a template without holes, else `undefined`. */
function literal(value: unknown): string | undefined {
  if (!isNode(value)) return undefined
  if (value.type === 'Literal' && typeof value['value'] === 'string') return value['value']
  if (value.type === 'TemplateLiteral' && Array.isArray(value['quasis']) && value['quasis'].length === 1) {
    const [quasi] = value['quasis'] as { value: { cooked: string } }[]
    return quasi?.value.cooked
  }
  return undefined
}

/** Every way to name another module: static, re-export, dynamic, `import()` type, `import x = require()`, worker URL. */
function specifierOf(node: Node): string | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
      return literal(node['source'])
    case 'ImportExpression':
    case 'TSImportType':
      // A module whose name is computed cannot be judged, so it is named in a way that no rule allows.
      return literal(node['source']) ?? '(computed)'
    case 'TSExternalModuleReference':
      return literal(node['expression'])
    case 'NewExpression':
      return workerUrl(node)
    default:
      return undefined
  }
}

function workerUrl(node: Node): string | undefined {
  const callee = node['callee']
  const args = node['arguments']
  if (!isNode(callee) || callee['name'] !== 'URL' || !Array.isArray(args) || args.length !== 2)
    return undefined
  const path = literal(args[0])
  return path !== undefined && SOURCE.test(path) ? path : undefined
}

/** What `file` imports, types included, in the order of its text. Throws when the file does not parse. */
export function importsOf(file: SourceFile): string[] {
  const { program, errors } = parseSync(file.path, file.text)
  if (errors.length > 0) throw new Error(`${file.path}: ${errors[0]?.message ?? 'does not parse'}`)
  const found: string[] = []
  const visit = (value: unknown): void => {
    if (!isNode(value)) return
    const specifier = specifierOf(value)
    if (specifier !== undefined) found.push(specifier)
    for (const child of Object.values(value)) visit(child)
  }
  visit(program)
  return found
}
