export const BUNDLE_FLAGS: readonly string[]
export function bundleOf(app: string, node: string): string
