/** What the node needs of the browser. */

/** Names of what is missing, for the user; empty when all is there. */
export async function missingCapabilities(): Promise<readonly string[]> {
  const missing: string[] = []
  if (!('locks' in navigator)) missing.push('Web Locks')
  if (!('indexedDB' in globalThis)) missing.push('IndexedDB')
  if (!('serviceWorker' in navigator)) missing.push('service workers')
  if (!('RTCPeerConnection' in globalThis)) missing.push('WebRTC')
  if (!('WebAssembly' in globalThis)) missing.push('WebAssembly')
  if (!(await hasEd25519())) missing.push('Ed25519 in Web Cryptography')
  return missing
}

async function hasEd25519(): Promise<boolean> {
  try {
    await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify'])
    return true
  } catch {
    return false
  }
}
