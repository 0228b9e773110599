import { startProgram, type Program } from './process.ts'

export type RelayProcessInit = {
  /** The data folder: a second process on the same one comes back at the same address, as the same peer. */
  readonly data: string
  /** Default 0 on an empty data folder: any free port. Give `null` to leave the flag out. */
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
  const port = init.port === undefined ? 0 : init.port
  const args = ['--data', init.data, ...(port === null ? [] : ['--port', String(port)]), ...(init.args ?? [])]
  const program = await startProgram({
    app: 'relay',
    args,
    ready: /^Plexus is at (\S+)$/m,
  })
  return { ...program, address: program.said }
}
