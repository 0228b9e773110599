import type { JsonObject } from '@plexus/core'

/** A request is refused. spec: client-server-api "Standard error response" */
export class MatrixError extends Error {
  override readonly name = 'MatrixError'
  readonly status: number
  readonly errcode: string
  /** Further fields of the answer, such as `retry_after_ms` or `room_version`. */
  readonly fields: JsonObject
  constructor(status: number, errcode: string, error: string, fields: JsonObject = {}) {
    super(error)
    this.status = status
    this.errcode = errcode
    this.fields = fields
  }
}

export function badJson(error: string): MatrixError {
  return new MatrixError(400, 'M_BAD_JSON', error)
}

export function invalidParam(error: string): MatrixError {
  return new MatrixError(400, 'M_INVALID_PARAM', error)
}

export function missingParam(error: string): MatrixError {
  return new MatrixError(400, 'M_MISSING_PARAM', error)
}

export function forbidden(error: string): MatrixError {
  return new MatrixError(403, 'M_FORBIDDEN', error)
}

export function notFound(error: string): MatrixError {
  return new MatrixError(404, 'M_NOT_FOUND', error)
}

export function tooLarge(error: string): MatrixError {
  return new MatrixError(413, 'M_TOO_LARGE', error)
}

export function unrecognized(status: 404 | 405, error: string): MatrixError {
  return new MatrixError(status, 'M_UNRECOGNIZED', error)
}

export function accountLocked(): MatrixError {
  return new MatrixError(401, 'M_USER_LOCKED', 'this account has been locked', { soft_logout: true })
}

export function accountSuspended(): MatrixError {
  return new MatrixError(403, 'M_USER_SUSPENDED', 'this is not possible while the account is suspended')
}
