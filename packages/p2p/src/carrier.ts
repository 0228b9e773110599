import type { ServerName } from '@plexus/core'
import { CarrierError, type Carrier, type Clock } from '@plexus/engine/ports'
import type { ConnectResult } from './dialer.ts'
import type { LinkTable } from './link-table.ts'
import type { Link } from './link.ts'

/** Milliseconds that finding and dialling a peer may take of a request's time. */
const CONNECT_LIMIT_MS = 20_000

export type CarrierDeps = {
  readonly clock: Clock
  readonly table: LinkTable
  connect(name: ServerName): Promise<ConnectResult>
}

/** The direct carrier: requests over the best federation stream to their destination. */
export function createCarrier(deps: CarrierDeps): Carrier {
  const { clock, table } = deps

  async function linkTo(name: ServerName, signal: AbortSignal | undefined, ms: number): Promise<Link> {
    const present = table.best(name)
    if (present !== undefined) return present
    const giveUp = new AbortController()
    const cancel = clock.after(Math.min(ms, CONNECT_LIMIT_MS), () => giveUp.abort())
    const both = signal === undefined ? giveUp.signal : AbortSignal.any([signal, giveUp.signal])
    const failed = (): void => giveUp.abort()
    try {
      // The other side may come to us while we look for it.
      void deps.connect(name).then((result) => (result === 'ready' ? undefined : failed()))
      await table.until(() => table.best(name) !== undefined, both)
    } catch {
      signal?.throwIfAborted()
    } finally {
      cancel()
    }
    const link = table.best(name)
    if (link === undefined) throw new CarrierError('unreachable', `no connection to ${name}`)
    return link
  }

  return {
    async send(request, { signal, timeoutMs }) {
      const name = request.request.destination
      const deadline = clock.now() + timeoutMs
      const left = (): number => Math.max(1, deadline - clock.now())
      signal?.throwIfAborted()
      const first = await linkTo(name, signal, left())
      const options = signal === undefined ? {} : { signal }
      try {
        return await first.request(request, { ...options, timeoutMs: left() })
      } catch (error) {
        // A stream that ended before it took the request: another one may be there already.
        const gone = first.state === 'closed' || first.state === 'retiring'
        const again = error instanceof CarrierError && error.code === 'unreachable' && gone
        if (!again || clock.now() >= deadline) throw error
        const second = await linkTo(name, signal, left())
        return second.request(request, { ...options, timeoutMs: left() })
      }
    },
  }
}
