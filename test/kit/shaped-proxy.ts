/**
 * A line with round trips and loss between a browser and a relay. Loss on TCP is what its ends see of it: what follows a lost
 * segment waits until that has come again. Neither the size of its windows nor a rate is imitated.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createDelayLine } from './delay-line.ts'

export type Line = {
  readonly roundTripMs: number
  /** Of segments, 0 to 1. */
  readonly loss: number
}

/** Bytes of a segment, and how long a lost one takes to come again: the least that Linux waits. */
const SEGMENT_BYTES = 1_460
const RESEND_MS = 200
/** Bytes under way in one direction of one connection. */
const MAX_UNDER_WAY = 4 * 1024 * 1024

export interface ShapedProxy extends AsyncDisposable {
  readonly port: number
  /** Where connections go from now on, and how. */
  lead(port: number, line: Line): void
}

/** Listens on loopback. `random` decides what is lost. */
export async function startShapedProxy(random: () => number): Promise<ShapedProxy> {
  let target = 0
  let line: Line = { roundTripMs: 0, loss: 0 }
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
  }
  const server: Server = createServer({ allowHalfOpen: true }, (near) => {
    keep(near)
    near.pause()
    // The handshake takes a round trip of its own.
    setTimeout(() => {
      const far = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true })
      keep(far)
      carry(near, far, line, random)
      carry(far, near, line, random)
    }, line.roundTripMs)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    lead(port, next) {
      target = port
      line = next
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function carry(from: Socket, to: Socket, { roundTripMs, loss }: Line, random: () => number): void {
  let underWay = 0
  const line = createDelayLine()
  let free = 0
  const later = (bytes: number, run: () => void): void => {
    const isLost = random() < 1 - (1 - loss) ** Math.ceil(bytes / SEGMENT_BYTES)
    free = Math.max(free, performance.now() + roundTripMs / 2 + (isLost ? RESEND_MS : 0))
    line.add(free, run)
  }
  from.on('data', (chunk: Buffer) => {
    underWay += chunk.length
    if (underWay > MAX_UNDER_WAY) from.pause()
    later(chunk.length, () => {
      underWay -= chunk.length
      if (underWay <= MAX_UNDER_WAY) from.resume()
      to.write(chunk)
    })
  })
  from.once('end', () => later(0, () => to.end()))
  from.once('close', () => later(0, () => to.destroy()))
  from.resume()
}
