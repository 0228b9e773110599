import type { ConnectionGater } from '@libp2p/interface'
import type { Clock } from '@plexus/engine/ports'
import { createTokenBucket, type TokenBucket } from '@plexus/p2p/wire'
import { CIRCUIT_BURST, CIRCUITS_PER_SECOND } from './limits.ts'

/** Who may do what at the relay: it dials nobody, and each node opens circuits at a bounded rate. */
export interface RelayGater {
  readonly connectionGater: ConnectionGater
  /** The node is gone: its budget goes too. */
  forget(peerId: string): void
  /** Circuits asked for, and those of them that were refused. */
  readonly counts: { asked: number; refused: number }
}

export function createRelayGater(clock: Clock): RelayGater {
  const budgets = new Map<string, TokenBucket>()
  const counts = { asked: 0, refused: 0 }

  function mayConnect(source: string): boolean {
    let budget = budgets.get(source)
    if (budget === undefined) {
      budget = createTokenBucket(() => clock.now(), CIRCUITS_PER_SECOND, CIRCUIT_BURST)
      budgets.set(source, budget)
    }
    counts.asked += 1
    if (budget.take()) return true
    counts.refused += 1
    return false
  }

  return {
    connectionGater: {
      denyDialMultiaddr: () => true,
      denyOutboundRelayedConnection: (source) => !mayConnect(source.toString()),
    },
    forget: (peerId) => budgets.delete(peerId),
    counts,
  }
}
