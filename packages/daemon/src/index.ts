/** What the processes of an operator share: start and stop, the data folder, the log, listening servers, figures. */
export { acquireDataFolder, openDataFolder, writeDurably } from './data-folder.ts'
export { createServer, listen, readTls, type Tls, type WebServer } from './listen.ts'
export { portOf } from './log.ts'
export { clock } from './clock.ts'
export {
  createOutbound,
  createReach,
  OutboundError,
  type Outbound,
  type OutboundRequest,
  type OutboundResponse,
} from './outbound.ts'
export {
  createFigures,
  listenToOperator,
  parseAddress,
  type Address,
  type Figures,
  type Listening,
} from './operator.ts'
export { renewPlace } from './place.ts'
export { runMain, type App } from './run-main.ts'
export { StartError } from './start-error.ts'
export { watchTls, type TlsFiles, type TlsWatch } from './tls-files.ts'
