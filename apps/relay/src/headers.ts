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

/** On every response, whatever its status. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': POLICY.join('; '),
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
