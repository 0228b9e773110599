/** The one place where what went wrong becomes an answer. */
import type { JsonObject } from '@plexus/core'
import { CarrierError, FederationError, StoreError } from '@plexus/engine/ports'
import { AppServiceError, RoomError, UserError } from '@plexus/engine'
import type { UserErrorCode } from '@plexus/engine'
import { MatrixError } from './matrix-error.ts'

const ROOM_ERROR_STATUS: Readonly<Record<RoomError['errcode'], number>> = {
  M_FORBIDDEN: 403,
  M_INVITE_BLOCKED: 403,
  M_NOT_FOUND: 404,
  M_BAD_STATE: 400,
  M_BAD_JSON: 400,
  M_INVALID_PARAM: 400,
  M_TOO_LARGE: 413,
  M_UNSUPPORTED_ROOM_VERSION: 400,
  M_INCOMPATIBLE_ROOM_VERSION: 400,
  // No fault of the client's: another server may help.
  M_UNABLE_TO_AUTHORISE_JOIN: 502,
  M_UNABLE_TO_GRANT_JOIN: 502,
  M_LIMIT_EXCEEDED: 429,
  M_UNABLE_DUE_TO_PARTIAL_STATE: 503,
  M_UNKNOWN: 502,
  M_UNKNOWN_POS: 400,
}

const USER_ERROR_STATUS: Readonly<Record<UserErrorCode, number>> = {
  M_BAD_JSON: 400,
  M_BAD_STATE: 400,
  M_CANNOT_OVERWRITE_MEDIA: 409,
  M_EXCLUSIVE: 400,
  M_FORBIDDEN: 403,
  M_INVALID_PARAM: 400,
  M_INVALID_SIGNATURE: 400,
  M_INVALID_USERNAME: 400,
  M_KEY_TOO_LARGE: 400,
  M_LIMIT_EXCEEDED: 429,
  M_MISSING_PARAM: 400,
  M_NOT_FOUND: 404,
  M_NOT_YET_UPLOADED: 504,
  M_PROFILE_TOO_LARGE: 400,
  M_TOO_LARGE: 413,
  M_UNKNOWN: 400,
  M_USER_DEACTIVATED: 403,
  M_USER_IN_USE: 400,
  M_WEAK_PASSWORD: 400,
  M_WRONG_ROOM_KEYS_VERSION: 403,
}

/** Answers of other servers that a client may see as they are: none of them speaks about our client's token. */
const PASSED_ON: ReadonlySet<number> = new Set([400, 403, 404])
const ERRCODE = /^[A-Z][A-Z0-9_.]{0,99}$/

/** Every fault is a MatrixError after this; `undefined` says that the fault is ours and to be logged. */
export function toMatrixError(error: unknown): MatrixError | undefined {
  if (error instanceof MatrixError) return error
  if (error instanceof RoomError) {
    return new MatrixError(ROOM_ERROR_STATUS[error.errcode], error.errcode, error.message)
  }
  if (error instanceof UserError) {
    return new MatrixError(USER_ERROR_STATUS[error.errcode], error.errcode, error.message)
  }
  // spec: application-service-api.md "Querying"
  if (error instanceof AppServiceError)
    return new MatrixError(408, 'M_UNKNOWN', 'an application service did not answer; try again later')
  if (error instanceof StoreError) return ofStore(error)
  if (error instanceof FederationError) return ofFederation(error)
  if (error instanceof CarrierError) {
    const status = error.code === 'timeout' ? 504 : 502
    return new MatrixError(status, 'M_UNKNOWN', 'the other server gave no usable answer; try again later')
  }
  return undefined
}

function ofStore(error: StoreError): MatrixError | undefined {
  if (error.code === 'full') {
    return new MatrixError(507, 'M_UNKNOWN', 'the storage of this node is full; nothing was saved')
  }
  if (error.code === 'failed') return undefined
  return new MatrixError(503, 'M_UNKNOWN', 'this node has stopped: another process or tab took over')
}

function ofFederation({ remote }: FederationError): MatrixError {
  const ofToken = remote.errcode === 'M_UNKNOWN_TOKEN' || remote.errcode === 'M_MISSING_TOKEN'
  if (!PASSED_ON.has(remote.status) || ofToken || !ERRCODE.test(remote.errcode)) {
    return new MatrixError(502, 'M_UNKNOWN', 'the other server could not do it; try again later')
  }
  return new MatrixError(remote.status, remote.errcode, remote.error)
}

/** The body of an error answer. */
export function errorBody({ errcode, message, fields }: MatrixError): JsonObject {
  return { ...fields, errcode, error: message }
}
