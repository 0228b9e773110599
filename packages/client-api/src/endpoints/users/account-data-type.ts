import { MatrixError } from '../../matrix-error.ts'

const SERVER_MANAGED: readonly string[] = ['m.fully_read', 'm.push_rules']

/** @throws MatrixError 405. spec: client-server-api/modules/account_data.md "Server Behaviour" */
export function checkAccountDataType(type: string): void {
  if (!SERVER_MANAGED.includes(type)) return
  throw new MatrixError(405, 'M_BAD_JSON', `${type} cannot be set through this API`)
}
