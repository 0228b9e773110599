import type { JSX } from 'preact'
import { encode } from 'uqr'

/** Longest text that a QR code of the largest version holds at the lowest correction. ISO/IEC 18004 */
const MAX_TEXT = 2_900

/** A QR code as one path: dark on light in both themes, since many readers do not take it inverted. */
export function QrCode({ text, label }: { text: string; label: string }): JSX.Element | undefined {
  if (new TextEncoder().encode(text).length > MAX_TEXT) return undefined
  const code = encode(text, { ecc: 'L', border: 2 })
  const modules = code.data.flatMap((row, y) =>
    row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : [])),
  )
  return (
    <svg
      class="qr"
      viewBox={`0 0 ${code.size} ${code.size}`}
      role="img"
      aria-label={label}
      shape-rendering="crispEdges"
    >
      <path d={modules.join('')} fill="#000" />
    </svg>
  )
}
