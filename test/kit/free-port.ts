import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below those that systems give out by themselves, any of which may be another's a moment later. */
const FIRST = 20_000
const COUNT = 12_000
/** Of one process; others begin elsewhere. */
const OF_PROCESS = 64

let taken = 0

/** A port of loopback that nobody listens on now. For programs that are to come back at the same one. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + ((process.pid * OF_PROCESS + (taken += 1)) % COUNT)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    await new Promise((resolve) => server.close(resolve))
    if (isFree) return port
  }
}
