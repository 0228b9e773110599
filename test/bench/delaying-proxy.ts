/** Stands before a server as if it were far away, or gone. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { createDelayLine } from '../kit/delay-line.ts'

/** `refused`: nobody listens. `silent`: the host takes connections and never answers. */
export type Fate = 'alive' | 'refused' | 'silent'

export interface DelayingProxy extends AsyncDisposable {
  readonly port: number
  /** Ends all connections. */
  become(fate: Fate): Promise<void>
}

/** @param roundTripMs of each exchange; a connection costs one more */
export async function startDelayingProxy(
  targetPort: () => number,
  roundTripMs: number,
): Promise<DelayingProxy> {
  const sockets = new Set<Socket>()
  let fate: Fate = 'alive'
  const track = (socket: Socket): Socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    return socket
  }
  /** Passes on what `from` sends, each piece `roundTripMs / 2` later, the first `extraMs` after that. */
  const pass = (from: Socket, to: Socket, extraMs: number): void => {
    const line = createDelayLine()
    let due = performance.now() + extraMs
    const later = (run: () => void): void => {
      due = Math.max(due, performance.now() + roundTripMs / 2)
      line.add(due, run)
    }
    from.on('data', (bytes) => later(() => to.write(bytes)))
    from.on('end', () => later(() => to.end()))
    from.on('error', () => to.destroy())
    from.on('close', () => later(() => to.destroy()))
  }
  const server = createServer((near) => {
    track(near)
    if (fate === 'silent') {
      near.on('error', () => near.destroy()).resume()
      return
    }
    const far = track(connect(targetPort(), '127.0.0.1'))
    pass(near, far, roundTripMs * 1.5)
    pass(far, near, 0)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const close = (): Promise<unknown> => new Promise((resolve) => server.close(resolve))
  return {
    port,
    async become(next) {
      fate = next
      cut()
      if (next === 'refused') await close()
    },
    async [Symbol.asyncDispose]() {
      cut()
      if (server.listening) await close()
    },
  }
}
