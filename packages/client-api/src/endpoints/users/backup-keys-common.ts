/** What the endpoints of key backups share. spec: data/api/client-server/definitions/key_backup_data.yaml */
import type { JsonObject } from '@plexus/core'
import { MatrixError } from '../../matrix-error.ts'
import { UserError } from '@plexus/engine'
import * as v from 'valibot'
import { jsonObject } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { recordOf } from './common.ts'

export const backupQuery: v.GenericSchema<unknown, { version: string }> = v.object({ version: v.string() })

type KeyData = {
  first_message_index: number
  forwarded_count: number
  is_verified: boolean
  session_data: JsonObject
}

export const keyData: v.GenericSchema<unknown, KeyData> = v.object({
  first_message_index: v.pipe(v.number(), v.integer(), v.minValue(0)),
  forwarded_count: v.pipe(v.number(), v.integer(), v.minValue(0)),
  is_verified: v.boolean(),
  session_data: jsonObject,
})

export const sessions: v.GenericSchema<unknown, { sessions: Record<string, KeyData> }> = v.object({
  sessions: recordOf(keyData),
})

/** The error for a version that is not the newest names the newest. */
export async function putBackup(
  engine: ApiEngine,
  { userId }: Requester,
  version: string,
  rooms: Readonly<Record<string, Readonly<Record<string, KeyData>>>>,
): Promise<JsonObject> {
  try {
    return { ...(await engine.users.backups.putKeys(userId, version, rooms)) }
  } catch (error) {
    if (!(error instanceof UserError) || error.errcode !== 'M_WRONG_ROOM_KEYS_VERSION') throw error
    const { version: current } = await engine.users.backups.version(userId)
    throw new MatrixError(403, error.errcode, error.message, { current_version: current })
  }
}
