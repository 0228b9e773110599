/**
 * What the page may do. The page's origin holds the account, so nothing but this relay's own files runs in it.
 * Connections go to any relay and node, which are not known in advance; WebRTC is not governed by this policy.
 */
const POLICY: readonly string[] = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  'media-src blob:',
  "connect-src 'self' ws: wss:",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types plexus',
]

const POLICY_HEADER: Readonly<Record<string, string>> = { 'Content-Security-Policy': POLICY.join('; ') }

/** What never runs on its own and shows no document: half a kilobyte less for each. */
const WITHOUT_POLICY = /\.(?:css|wasm|png|webmanifest|woff2)$/

/**
 * What is sent with a path, besides `SECURITY_HEADERS`. The policy acts where a document is shown or a worker starts;
 * scripts have it, since any of them may be a worker's, and images of SVG, which open as documents.
 */
export const policyFor = (pathname: string): Readonly<Record<string, string>> =>
  WITHOUT_POLICY.test(pathname) ? {} : POLICY_HEADER

/** On every response, whatever its status. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(self), geolocation=(), microphone=(), payment=(), usb=()',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}

/** Vite names these files by the hash of their content. */
const HASHED = /^\/assets\/[^/]+-[\w-]{8}\.\w+$/

/** A name that tells the content never changes; everything else is asked for again, and answered 304 if unchanged. */
export const cacheControl = (pathname: string): string =>
  HASHED.test(pathname) ? 'public, max-age=31536000, immutable' : 'no-cache'
