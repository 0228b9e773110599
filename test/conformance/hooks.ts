/** Complement's own `test_main.go` with the hooks that `proc_deployer.go` fills. */

type Hook =
  | { readonly after: RegExp; readonly insert: string }
  | { readonly before: RegExp; readonly insert: string }

/** Each place stands once in the file, or the file is another than this was made for. */
const HOOKS: readonly Hook[] = [
  {
    after: /^\tcustomDeployer +func\(.*$/m,
    insert: `
\tcustomBlueprintDeployer func(t ct.TestLike, blueprint b.Blueprint, config *config.Complement) Deployment
\tcustomCleanup func()`,
  },
  {
    after: /^\tdefer testPackage\.Cleanup\(\)$/m,
    insert: `
\tif customCleanup != nil {
\t\tdefer customCleanup()
\t}`,
  },
  {
    before: /^\treturn testPackage\.OldDeploy\(.*$/m,
    insert: `\tif customBlueprintDeployer != nil {
\t\treturn customBlueprintDeployer(t, blueprint, testPackage.Config)
\t}
`,
  },
]

/** @throws Error when a hook has no place, or two. */
export function addHooks(source: string): string {
  return HOOKS.reduce((text, hook) => {
    const place = 'after' in hook ? hook.after : hook.before
    const found = [...text.matchAll(new RegExp(place, 'gm'))]
    const [match] = found
    if (match === undefined || found.length > 1)
      throw new Error(`test_main.go has ${found.length} places for a hook, not one: ${place.source}`)
    const at = 'after' in hook ? match.index + match[0].length : match.index
    return text.slice(0, at) + hook.insert + text.slice(at)
  }, source)
}
