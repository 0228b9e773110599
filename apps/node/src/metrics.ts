/** What Prometheus reads of a node. */
import type { Engine } from '@plexus/engine'
import type { P2pNode } from '@plexus/p2p'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

/** Seconds; a `/sync` may wait for half a minute. */
const BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60]

export interface Metrics {
  readonly contentType: string
  text(): Promise<string>
  /** A client's request was answered. */
  answered(request: Request, status: number, seconds: number): void
  /** Another server's request was answered. */
  served(status: number): void
}

export function createMetrics({ engine, p2p }: { engine: Engine; p2p: P2pNode }): Metrics {
  const register = new Registry()
  const registers = [register]
  collectDefaultMetrics({ register })
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
    labelNames: ['status'] as const,
    registers,
  })
  const gauge = (name: string, help: string, read: () => number | Promise<number>): void =>
    register.registerMetric(
      new Gauge({
        name,
        help,
        registers: [],
        async collect() {
          this.set(await read())
        },
      }),
    )
  gauge('plexus_stream_position', 'Last committed position', () => engine.committer.committed)
  gauge('plexus_commit_failures', 'Commits that failed', () => engine.committer.failures)
  gauge('plexus_waiting_events', 'Own events that no other member has yet', () => engine.outbox.waiting())
  gauge('plexus_connected_peers', 'Connected servers', () => p2p.status.peers.length)
  return {
    contentType: register.contentType,
    text: () => register.metrics(),
    answered: ({ method }, status, seconds) =>
      answers.observe({ method: METHODS.has(method) ? method : 'other', status }, seconds),
    served: (status) => served.inc({ status }),
  }
}

/** Others come from outside, and would each make a time series. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'])
