/** What Prometheus reads of a node. */
import type { Engine } from '@plexus/engine'
import type { P2pNode } from '@plexus/p2p'
import type { CarrierName } from './carriers.ts'
import { createFigures, type Figures } from '@plexus/daemon'
import { Counter, Histogram } from 'prom-client'

/** Seconds; a `/sync` may wait for half a minute. */
const BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60]

export interface Metrics {
  readonly figures: Figures
  /** A client's request was answered. */
  answered(request: Request, status: number, seconds: number): void
  /** Another server's request was answered. */
  served(carrier: CarrierName, status: number): void
  /** Another server was asked; `status` is 0 where no answer came. */
  readonly sent: (carrier: CarrierName, status: number) => void
}

export type MetricsInit = {
  readonly engine: () => Engine | undefined
  readonly p2p: () => P2pNode | undefined
}

/** What is counted begins before engine and network are there. */
export function createMetrics({ engine, p2p }: MetricsInit): Metrics {
  const figures = createFigures()
  const { gauge } = figures
  const registers = [figures.registry]
  const answers = new Histogram({
    name: 'plexus_client_request_seconds',
    help: 'Time to answer requests of clients',
    labelNames: ['method', 'status'] as const,
    buckets: BUCKETS,
    registers,
  })
  const served = new Counter({
    name: 'plexus_federation_requests_total',
    help: 'Requests of other servers by status',
    labelNames: ['carrier', 'status'] as const,
    registers,
  })
  const sent = new Counter({
    name: 'plexus_federation_sent_total',
    help: 'Requests to other servers by the status of the answer, 0 where none came',
    labelNames: ['carrier', 'status'] as const,
    registers,
  })
  gauge('plexus_stream_position', 'Last committed position', () => engine()?.committer.committed ?? 0)
  gauge('plexus_commit_failures', 'Commits that failed', () => engine()?.committer.failures ?? 0)
  gauge(
    'plexus_waiting_events',
    'Own events that no other member has yet',
    () => engine()?.outbox.waiting() ?? 0,
  )
  gauge(
    'plexus_waiting_edu_characters',
    'JSON text of the to-device messages and other durable EDUs that wait for other servers',
    () => engine()?.outbox.waitingLength ?? 0,
  )
  gauge('plexus_connected_peers', 'Connected servers', () => p2p()?.status.peers.length ?? 0)
  return {
    figures,
    answered: ({ method }, status, seconds) =>
      answers.observe({ method: METHODS.has(method) ? method : 'other', status }, seconds),
    served: (carrier, status) => served.inc({ carrier, status }),
    sent: (carrier, status) => sent.inc({ carrier, status }),
  }
}

/** Others come from outside, and would each make a time series. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'])
