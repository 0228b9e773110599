/** The right to run the one node of an origin or a data folder. */
export interface OwnerLock {
  /** Gives the lock back; a second call does nothing. */
  release(): Promise<void>
}
