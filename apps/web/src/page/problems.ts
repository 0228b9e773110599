/** Errors as something that a user can act on. */
import { CarrierError, FederationError, StoreError } from '@plexus/engine/ports'
import type { Problem } from '../ui/model.ts'
import { wordsOf } from '../ui/use-action.ts'

export function startProblem(error: unknown): Problem {
  if (error instanceof StoreError && error.code === 'full') return diskFull
  const detail = describe(error)
  if (errcodeOf(error) === 'M_USER_DEACTIVATED') {
    return {
      title: 'This account is closed',
      advice: 'It was given up for ever. To begin anew, delete the site data of this page and reload.',
    }
  }
  if (error instanceof Error && error.name === 'SchemaError') {
    return { title: 'This app is older than your data', advice: 'Reload to get the newer version.', detail }
  }
  return {
    title: 'Plexus could not start',
    advice:
      'Reload the page. If that does not help, close other tabs of Plexus, or restart the browser. Do not delete its site data: your account is there.',
    detail,
  }
}

export const diskFull: Problem = {
  title: 'The disk is full',
  advice:
    'Free some space on this device, then reload. Everything that was shown as sent or received is kept.',
}

export function stoppedProblem(message: string): Problem {
  return {
    title: 'Plexus stopped',
    advice: 'It cannot write to its storage any more. Everything that was shown is kept. Reload the page.',
    detail: message,
  }
}

/** True when no answer came, so that another attempt may help. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof CarrierError || errcodeOf(error) === 'M_UNKNOWN'
}

export function linkProblem(error: unknown): Problem {
  const errcode = errcodeOf(error)
  if (isUnreachable(error)) {
    return {
      title: 'The person who invited you is not reachable',
      advice: 'Ask them to open Plexus, then try again. The link stays valid until it expires.',
      detail: describe(error),
    }
  }
  if (errcode === 'M_FORBIDDEN' || errcode === 'M_NOT_FOUND') {
    return {
      title: 'This link is no longer valid',
      advice: 'It was used, taken back, or is older than 7 days. Ask for a new one.',
      detail: describe(error),
    }
  }
  return { title: 'You could not join', advice: wordsOf(error), detail: describe(error) }
}

function errcodeOf(error: unknown): string | undefined {
  if (error instanceof FederationError) return error.remote.errcode
  const errcode: unknown =
    typeof error === 'object' && error !== null && 'errcode' in error ? error.errcode : undefined
  return typeof errcode === 'string' ? errcode : undefined
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
