/** Errors as they cross the bridge. A structured clone of an Error would lose its name and its own data. */
import { CarrierError, FederationError, MailError, StoreError, type RemoteError } from '@plexus/engine/ports'

export type WireError =
  | { readonly kind: 'store'; readonly code: StoreError['code']; readonly message: string }
  | { readonly kind: 'carrier'; readonly code: CarrierError['code']; readonly message: string }
  | { readonly kind: 'federation'; readonly remote: RemoteError }
  | { readonly kind: 'mail'; readonly code: MailError['code']; readonly record: MailError['record'] }
  | { readonly kind: 'other'; readonly name: string; readonly message: string; readonly errcode?: string }

/** An error of the other side that is none of the ports'. */
class RemoteFault extends Error {
  override readonly name: string
  /** The specification's error code, where there is one. */
  readonly errcode: string | undefined
  constructor(name: string, message: string, errcode: string | undefined) {
    super(message)
    this.name = name
    this.errcode = errcode
  }
}

export function errorOf(error: unknown): WireError {
  if (error instanceof StoreError) return { kind: 'store', code: error.code, message: error.message }
  if (error instanceof CarrierError) return { kind: 'carrier', code: error.code, message: error.message }
  if (error instanceof FederationError) return { kind: 'federation', remote: error.remote }
  if (error instanceof MailError) return { kind: 'mail', code: error.code, record: error.record }
  if (!(error instanceof Error)) return { kind: 'other', name: 'Error', message: String(error) }
  const errcode: unknown = 'errcode' in error ? error.errcode : undefined
  const { name, message } = error
  return typeof errcode === 'string'
    ? { kind: 'other', name, message, errcode }
    : { kind: 'other', name, message }
}

export function reviveError(error: WireError): Error {
  switch (error.kind) {
    case 'store':
      return new StoreError(error.code, error.message)
    case 'carrier':
      return new CarrierError(error.code, error.message)
    case 'federation':
      return new FederationError(error.remote)
    case 'mail':
      return new MailError(error.code, error.record)
    default:
      return new RemoteFault(error.name, error.message, error.errcode)
  }
}
