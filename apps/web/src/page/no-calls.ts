/**
 * Stands in the bundle for what MatrixClient imports of calls and sliding sync (vite.config.ts), which the app has no use
 * for: with `disableVoip` the client makes none of it but these two. A tenth less to load.
 */
export const supportsMatrixCall = (): boolean => false
export const createNewMatrixCall = (): null => null

/** What every client makes and starts. */
class Idle {
  start(): void {
    // There are no sessions to follow.
  }
  stop(): void {
    // As above.
  }
}
export { Idle as MatrixRTCSessionManager, Idle as MediaHandler }

function absent(): never {
  throw new Error('this app makes no calls')
}
export {
  absent as CallEventHandler,
  absent as GroupCall,
  absent as GroupCallEventHandler,
  absent as SlidingSyncSdk,
}
