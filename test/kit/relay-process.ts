import { freePort } from './free-port.ts'
import { startProgram, type Program } from './process.ts'

export type RelayProcessInit = {
  /** The data folder: a second process on the same one comes back at the same address, as the same peer. */
  readonly data: string
  /** Any free port by default. `null` leaves the flag out: the port of before. */
  readonly port?: number | null
  readonly args?: readonly string[]
}

/** A relay in a process of its own, as `npm start` runs it. */
export interface RelayProcess extends Program {
  /** Where to open the web app, with a trailing slash. */
  readonly address: string
}

/** Starts the relay and waits until it says its address. */
export async function startRelay(init: RelayProcessInit): Promise<RelayProcess> {
  const port = init.port === undefined ? await freePort() : init.port
  const args = ['--data', init.data, ...(port === null ? [] : ['--port', String(port)]), ...(init.args ?? [])]
  const program = await startProgram({
    app: 'relay',
    args,
    ready: /^Plexus is at (\S+)$/m,
  })
  return { ...program, address: program.said }
}
