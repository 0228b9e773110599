/**
 * What a relay of this process sees while it runs: connections, streams, and every byte on them. A test mocks `libp2p` so
 * that `tapped` makes the relay's node; others are left as they are.
 */
import type { createLibp2p, Libp2p, Libp2pOptions } from 'libp2p'

/** Milliseconds of `performance.now()`. */
export type SeenConnection = { readonly peerId: string; readonly opened: number; closed: number | undefined }

/** Bytes on a stream, one way. */
export type SeenBytes = {
  readonly at: number
  readonly peerId: string
  readonly protocol: string
  readonly way: 'in' | 'out'
  readonly bytes: Uint8Array
}

export type RelayView = { readonly connections: SeenConnection[]; readonly traffic: SeenBytes[] }

export const view: RelayView = { connections: [], traffic: [] }

type Create = typeof createLibp2p
type Connection = ReturnType<Libp2p['getConnections']>[number]
type Handler = (stream: object, connection: Connection) => unknown
type Registrar = { getHandler(protocol: string): { handler: Handler; options: object } }

export async function tapped(create: Create, options: Libp2pOptions): Promise<Libp2p> {
  if (options.nodeInfo?.userAgent !== 'plexus-relay') return create(options)
  const node = await create({ ...options, start: false })
  const { registrar } = (node as unknown as { components: { registrar: Registrar } }).components
  const getHandler = registrar.getHandler.bind(registrar)
  registrar.getHandler = (protocol) => {
    const { handler, options: handlerOptions } = getHandler(protocol)
    const curious: Handler = (stream, connection) => {
      tapStream(stream as Tappable, protocol, connection)
      return handler(stream, connection)
    }
    return { handler: curious, options: handlerOptions }
  }
  const open = new Map<string, SeenConnection>()
  node.addEventListener('connection:open', ({ detail }) => {
    const seen = { peerId: detail.remotePeer.toString(), opened: performance.now(), closed: undefined }
    open.set(detail.id, seen)
    view.connections.push(seen)
  })
  node.addEventListener('connection:close', ({ detail }) => {
    const seen = open.get(detail.id)
    if (seen !== undefined) seen.closed = performance.now()
  })
  await node.start()
  return node
}

type Bytes = Uint8Array | { subarray(): Uint8Array }
type Tappable = { send(data: Bytes): boolean; dispatchEvent(event: Event & { data?: Bytes }): boolean }

/** No listener is added: the library delivers nothing before the first one is there. */
function tapStream(stream: Tappable, protocol: string, connection: Connection): void {
  const peerId = connection.remotePeer.toString()
  const note = (way: 'in' | 'out', data: Bytes): void => {
    const bytes = Uint8Array.from(data instanceof Uint8Array ? data : data.subarray())
    view.traffic.push({ at: performance.now(), peerId, protocol, way, bytes })
  }
  const send = stream.send.bind(stream)
  stream.send = (data) => {
    note('out', data)
    return send(data)
  }
  const dispatchEvent = stream.dispatchEvent.bind(stream)
  stream.dispatchEvent = (event) => {
    if (event.type === 'message' && event.data !== undefined) note('in', event.data)
    return dispatchEvent(event)
  }
}
