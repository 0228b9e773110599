// GET /_matrix/client/v3/events/{eventId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3eventseventid
import { RoomError } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { notFound } from '../../matrix-error.ts'
import { eventId } from '../../schemas.ts'

/** Of clients from before rooms were named in the path. */
export const oneEvent: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/events/{eventId}',
  auth: 'user',
  pathSchema: v.object({ eventId }),
  async handler({ engine, requester, path }) {
    const record = await engine.rooms.event(path.eventId)
    if (record === undefined) throw notFound('there is no such event, or you may not read it')
    return engine.reader.event(requester, record.roomId, record.id).catch((error: unknown) => {
      // What one may not read is as what is not there: who knows an id must not learn that the event is here.
      if (error instanceof RoomError && error.errcode === 'M_FORBIDDEN')
        throw notFound('there is no such event, or you may not read it')
      throw error
    })
  },
})
