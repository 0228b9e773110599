import type { ServerName } from '../ids.ts'
import { separatedBytes } from './domain.ts'

/** What a sealed mail is bound to: it opens for no other recipient, key or expiry (milliseconds since 1970). */
export type MailLabel = { readonly recipient: ServerName; readonly keyId: string; readonly expires: number }

/** The `info` that HPKE seals a mail with. RFC 9180 section 5.1 */
export function mailInfo({ recipient, keyId, expires }: MailLabel): Uint8Array {
  return separatedBytes('mail', { recipient, keyId, expires })
}
