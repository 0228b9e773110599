/** Changes of memory that follow the commit of what they mirror, and are dropped with it. */
import type { Committer } from '../kernel/committer.ts'

export interface AfterCommit {
  /** To be called while a commit is assembled, with a position of it. */
  run(position: number, apply: () => void): void
}

export function createAfterCommit(committer: Committer): AfterCommit {
  let pending: { readonly position: number; readonly apply: () => void }[] = []
  committer.onCommit((position) => {
    const ready = pending.filter((entry) => entry.position <= position)
    pending = pending.filter((entry) => entry.position > position)
    for (const { apply } of ready) apply()
  })
  committer.onFailure(() => {
    pending = []
  })
  return { run: (position, apply) => void pending.push({ position, apply }) }
}
