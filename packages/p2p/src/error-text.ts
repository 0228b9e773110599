/**
 * What went wrong, for the log. libp2p also rejects with close events, which are no errors and have no message.
 */
export function errorText(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(errorText).join('; ')
  if (error instanceof Error) return error.message === '' ? error.name : error.message
  if (error instanceof Event) return `${error.type} event`
  return String(error)
}
