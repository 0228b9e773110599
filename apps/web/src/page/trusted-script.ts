/** The one Trusted Types policy of the app: script addresses of this build, and nothing else. */

type Policy = { createScriptURL(url: string): string }
type TrustedTypes = {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): Policy
}

/** Workers lie in the build's folder; the service worker lies at the top, so that it serves all pages. */
const ALLOWED = /^\/(?:service-worker\.js|assets\/[\w.-]+\.js|src\/[\w./-]+\.ts)$/

function checked(url: string): string {
  const absolute = new URL(url, location.origin)
  if (absolute.origin !== location.origin || !ALLOWED.test(absolute.pathname)) {
    throw new TypeError(`not a script of this app: ${url}`)
  }
  return absolute.href
}

let policy: Policy | undefined

/** The address as `new Worker` and `register` take it where Trusted Types are enforced. */
export function scriptUrl(url: string): string {
  if (policy === undefined) {
    const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes }
    policy = trustedTypes?.createPolicy('plexus', { createScriptURL: checked }) ?? {
      createScriptURL: checked,
    }
  }
  return policy.createScriptURL(url)
}
