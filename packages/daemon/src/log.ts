import type { Log, LogLevel } from '@plexus/engine/ports'
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
export function createLog(level: LogLevel = 'info'): Logger {
  const options = {
    level,
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

/** The log as the packages know it. */
export const portOf = (logger: Logger): Log => ({
  log: (level, message, fields = {}) => logger[level](fields, message),
})
