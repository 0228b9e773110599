import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { clock, portOf, StartError } from '@plexus/daemon'
import { createRelay, loadRelayIdentity, type Relay, type RelayIdentity, type RelayInit } from '@plexus/relay'
import type { Logger } from 'pino'

async function identityIn(folder: string): Promise<RelayIdentity> {
  try {
    return await loadRelayIdentity(folder, clock.now())
  } catch (error) {
    // The cause may quote the file, which is secret.
    const what = `relay.key or webrtc.pem in ${folder} is damaged`
    const advice = 'restore both, or delete them and the relay is a new one to its nodes'
    throw new StartError(`${what}: ${advice}`, { cause: error })
  }
}

/**
 * Starts the libp2p relay on a server that listens: WebSockets on its port, WebRTC-Direct on the UDP port of the same
 * number. @throws StartError
 */
export async function startRelayNode(
  log: Logger,
  server: Server,
  folder: string,
  mail: RelayInit['mail'],
): Promise<Relay> {
  const identity = await identityIn(folder)
  const { address, family, port } = server.address() as AddressInfo
  const direct = `/${family === 'IPv6' ? 'ip6' : 'ip4'}/${address}/udp/${port}/webrtc-direct`
  try {
    const init = { identity, server, listen: [direct], ...(mail === undefined ? {} : { mail }) }
    return await createRelay({ clock, log: portOf(log) }, init)
  } catch (error) {
    log.error({ err: error }, 'the relay did not start')
    throw new StartError(`cannot listen on UDP port ${port}: choose another with --port`, { cause: error })
  }
}
