import { StartError } from '@plexus/daemon'
import { readSecret } from './identity.ts'

/**
 * The tokens with which this node registers at relays that ask for one, by the relay's peer id. The file has a line for
 * each: peer id, space, token. @throws StartError that shows nothing of the file
 */
export function mailTokensOf(file: string | undefined): Readonly<Record<string, string>> {
  if (file === undefined) return {}
  const lines = readSecret(file)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  return Object.fromEntries(
    lines.map((line, n) => {
      const [, relay, token] = /^([1-9A-HJ-NP-Za-km-z]{44,64})\s+(\S{1,256})$/.exec(line) ?? []
      if (relay === undefined || token === undefined)
        throw new StartError(`--mail-token-file ${file}: line ${n + 1} is not a peer id and a token`)
      return [relay, token]
    }),
  )
}
