import { type Logger, pino } from 'pino'
import pretty from 'pino-pretty'

/** Names under which a secret could reach a log line by mistake; what stands there is replaced. */
const SECRETS: readonly string[] = [
  'key',
  'privateKey',
  'seed',
  'secret',
  'token',
  'access_token',
  'password',
]

/** Logs to standard error: lines for a person at a terminal, JSON for a collector. */
export function createLog(): Logger {
  const options = {
    base: null,
    redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: '(secret)' },
  }
  const target = process.stderr.isTTY
    ? pretty({
        destination: 2,
        sync: true,
        colorize: true,
        ignore: 'pid,hostname',
        translateTime: 'SYS:HH:MM:ss',
      })
    : pino.destination({ dest: 2, sync: true })
  return pino(options, target)
}
