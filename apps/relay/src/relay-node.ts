import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { clock, portOf, StartError } from '@plexus/daemon'
import type { Store } from '@plexus/engine/ports'
import { createRelay, loadRelayIdentity, type Relay, type RelayIdentity, type RelayInit } from '@plexus/relay'
import { openSqliteStore } from '@plexus/store/sqlite'
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

/** What the relay knows of nodes that published records; nodes publish again what is lost with it. @throws StartError */
async function openRecords(folder: string): Promise<Store> {
  const path = join(folder, 'records.sqlite')
  try {
    return await openSqliteStore(path)
  } catch (error) {
    throw new StartError(`${path} cannot be opened: delete it, its content comes again`, { cause: error })
  }
}

/** The parts of a relay's set-up that its operator decides. */
export type RelayNodeInit = Pick<RelayInit, 'clientOf' | 'mail' | 'peers' | 'publicUrl'> & {
  /** Listens. */
  readonly server: Server
  readonly folder: string
}

/**
 * Starts the libp2p relay on a server that listens: WebSockets on its port, WebRTC-Direct on the UDP port of the same
 * number. @throws StartError
 */
export async function startRelayNode(log: Logger, init: RelayNodeInit): Promise<Relay> {
  const { server, folder, ...rest } = init
  await using started = new AsyncDisposableStack()
  const identity = await identityIn(folder)
  const records = await openRecords(folder)
  started.defer(() => records.close())
  const { address, family, port } = server.address() as AddressInfo
  const direct = `/${family === 'IPv6' ? 'ip6' : 'ip4'}/${address}/udp/${port}/webrtc-direct`
  try {
    const deps = { clock, log: portOf(log), records }
    const relay = started.use(await createRelay(deps, { identity, server, listen: [direct], ...rest }))
    const running = started.move()
    return { ...relay, [Symbol.asyncDispose]: () => running.disposeAsync() }
  } catch (error) {
    log.error({ err: error }, 'the relay did not start')
    throw new StartError(`cannot listen on UDP port ${port}: choose another with --port`, { cause: error })
  }
}
